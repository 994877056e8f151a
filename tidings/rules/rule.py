"""Rule documents: what a marketer writes, checked so that every fault is named by its path and value.

`python -m tidings.rules.rule` prints the JSON Schema that editors use; it is kept in `rules/schema.json`.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from tidings import documents
from tidings.errors import InvalidRuleError
from tidings.rules.conditions import Condition, Path, paths_of, segments_of
from tidings.rules.kinds import KINDS
from tidings.rules.quiet_hours import QuietHours
from tidings.rules.selectors import Selector
from tidings.rules.surroundings import DEFAULT_CAP, FrequencyCap, Pause, Send, Step
from tidings.wire.decisions import MailKind

Status = Literal["draft", "shadow", "live", "paused"]
RuleId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
_UNVERSIONED = ("name", "description", "status", "shadow_of")


class _Trigger(BaseModel):
    """Exactly one kind of trigger."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1, "maxProperties": 1})

    @model_validator(mode="before")
    @classmethod
    def _is_one_known_kind(cls, value: Any) -> Any:
        known = ", ".join(sorted(KINDS))
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(f"needs exactly one kind of trigger, out of: {known}")
        kind = next(iter(value))
        if kind not in KINDS:
            question = documents.nearest(kind, KINDS)
            hint = f"; {question}" if question else "."
            raise ValueError(f"there is no kind of trigger called {kind!r}{hint} There are: {known}")
        return value

    @property
    def chosen(self) -> tuple[str, Any]:
        """The name of the kind, and its document."""
        kind = next(iter(self.model_fields_set))
        return kind, getattr(self, kind)


Trigger: type[_Trigger] = create_model(
    "Trigger",
    __base__=_Trigger,
    **{name: (entry.document | None, None) for name, entry in KINDS.items()},  # type: ignore[call-overload]
)


class Rule(BaseModel):
    """When to write to a person, about what, and with which message."""

    model_config = ConfigDict(extra="forbid", title="Tidings rule")

    id: RuleId = Field(description="Never changes; names the campaign.")
    name: str = Field(default="", description="For people.")
    description: str = Field(default="", description="Who asked, why, since when.")
    status: Status = Field(
        default="draft",
        description="draft: ignored. shadow: decides, never sends. live: sends. paused: what falls due is rule_paused.",
    )
    shadow_of: RuleId | None = Field(
        default=None,
        description="The rule that this one is compared with, every hour; only with status shadow or draft.",
    )
    kind: MailKind = Field(default="marketing", description="marketing needs consent; transactional does not.")
    category: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")] = Field(
        default="marketing", description="What the person can opt out of."
    )
    trigger: Trigger  # type: ignore[valid-type]
    entry_key: Path | None = Field(default=None, description="One episode per value of this, such as a cart id.")
    exit_on: list[Selector] = Field(default=[], description="Events that end a running episode.")
    re_entry: Literal["once", "every_time"] | Pause = Field(
        default="every_time", description='"once", "every_time", or {after: 24h}.'
    )
    send: Send | None = Field(default=None, description="Short for a single step that sends.")
    steps: list[Step] = Field(default=[], max_length=20, description="Send, wait, send again unless ...")
    audience: Condition | None = Field(
        default=None, description="Who may get it: conditions on traits and segments, checked at every send."
    )
    priority: Annotated[int, Field(ge=0, le=100)] = Field(
        default=50, description="Who goes first when several rules want the same person at the same instant."
    )
    frequency_cap: FrequencyCap | Literal["default", "off"] = Field(
        default="default", description="default: one marketing mail in 16 hours. Transactional mail is never capped."
    )
    quiet_hours: QuietHours | None = None
    holdout: Annotated[float, Field(ge=0, le=90)] = Field(
        default=0,
        description="Per cent of people who never get it, so that its effect can be seen. Always the same people.",
    )

    @field_validator("trigger", mode="after")
    @classmethod
    def _trigger_has_a_body(cls, trigger: Any) -> Any:
        kind, document = trigger.chosen
        if document is None:
            raise ValueError(f"{kind} is empty")
        return trigger

    @field_validator("audience", mode="after")
    @classmethod
    def _asks_about_the_person(cls, audience: Condition | None) -> Condition | None:
        for path in paths_of(audience) if audience else ():
            if not path.startswith("traits."):
                raise ValueError(f"{path}: an audience is about a person, so only traits and segments can be asked")
        return audience

    @model_validator(mode="after")
    def _is_a_shadow_while_it_says_of_what(self) -> "Rule":
        if self.shadow_of is not None and self.status not in ("shadow", "draft"):
            raise ValueError("shadow_of is for status shadow or draft: to go live, put this into the rule it shadows")
        if self.shadow_of == self.id:
            raise ValueError("shadow_of names the rule itself")
        return self

    @model_validator(mode="after")
    def _has_something_to_send(self) -> "Rule":
        if (self.send is None) == (not self.steps) or (self.steps and not any(step.send for step in self.steps)):
            raise ValueError("needs either send, or steps with at least one send")
        if self.kind == "marketing" and any(one.to != "person" for one in self.sends):
            raise ValueError("mail to a role is about work, not marketing: say kind: transactional")
        return self

    @property
    def asks(self) -> list[tuple[str, str]]:
        """The segments that it asks about: where in the document, and which one."""
        kind, document = self.trigger.chosen  # type: ignore[attr-defined]
        triggers = [(f"trigger.{kind}.{path}", name) for path, name in getattr(document, "asks", ())]
        return [*triggers, *(segments_of(self.audience, "audience") if self.audience else ())]

    @property
    def all_steps(self) -> list[Step]:
        """The steps, whichever way they were written."""
        return self.steps or [Step(send=self.send)]

    @property
    def sends(self) -> list[Send]:
        """What goes out, in order."""
        return [step.send for step in self.all_steps if step.send is not None]

    @property
    def placed_sends(self) -> list[tuple[str, Send]]:
        """The same, each with where it stands in the document."""
        if self.send is not None:
            return [("send", self.send)]
        return [(f"steps[{number}].send", step.send) for number, step in enumerate(self.steps) if step.send is not None]

    @property
    def cap(self) -> FrequencyCap | None:
        """The frequency cap that applies, if any does."""
        if self.kind == "transactional" or self.frequency_cap == "off":
            return None
        return DEFAULT_CAP if self.frequency_cap == "default" else self.frequency_cap

    @cached_property
    def version(self) -> str:
        """Eight hexadecimal characters derived from everything that changes what the rule does.

        Name, description, status and `shadow_of` do not count: to rename or pause a rule makes no other rule of it.
        """
        document = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=set(_UNVERSIONED))
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def load(
    document: Mapping[str, Any],
    rule_id: str | None = None,
    templates: Collection[str] | None = None,
    segments: Collection[str] | None = None,
    rules: Collection[str] | None = None,
) -> Rule:
    """Read a rule document.

    Args:
        document: as parsed from YAML, JSON or Firestore.
        rule_id: the id under which it is stored; the document's own `id` may be left out, and must agree.
        templates: the templates that exist; None means not to check.
        segments: the segments that exist; None means not to check.
        rules: the rules that exist, for `shadow_of`; None means not to check.

    Raises:
        InvalidRuleError: with every fault, each `{"path", "value", "reason"}`.
    """
    rule, faults = documents.read(Rule, document, rule_id, "rule")
    for path, send in rule.placed_sends:
        if templates is not None and send.template not in templates:
            reason = documents.unknown("template", send.template, templates)
            faults.append(documents.fault(f"{path}.template", send.template, reason))
    if segments is not None:
        faults += unknown_segments(rule, segments)
    if rules is not None and rule.shadow_of is not None and rule.shadow_of not in rules:
        faults.append(documents.fault("shadow_of", rule.shadow_of, documents.unknown("rule", rule.shadow_of, rules)))
    if faults:
        raise InvalidRuleError(rule_id or rule.id, faults)
    return rule


def unknown_segments(rule: Rule, known: Collection[str]) -> list[documents.Fault]:
    """The segments that a rule names and that do not exist."""
    return [
        documents.fault(path, name, documents.unknown("segment", name, known))
        for path, name in rule.asks
        if name not in known
    ]


def json_schema() -> str:
    """The JSON Schema of a rule document, as kept in `rules/schema.json`."""
    return json.dumps(Rule.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")  # noqa: T201 - this is what the command is for
