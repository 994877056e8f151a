"""What is asked of a past: which rule, beside which others, and what counts as having bought."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from tidings.deciding.rulebook import compile_rule
from tidings.rollout.rule_set import RuleSet
from tidings.rules.rule import Rule
from tidings.rules.selectors import ANY
from tidings.wire.events import EVENT_TYPES

DEFAULT_GOAL = "Order Completed"


@dataclass(frozen=True)
class Question:
    """One backtest. It can be sent to another process.

    Attributes:
        rule: the one that is asked about; it is run as if it were live.
        rules: what runs beside it. One of the same id is its live version.
        goal: the name of the track event that the mail is for.
        within: so many milliseconds after the rule has fired, the goal counts.
        since: what was decided before is not told.
        zone: of the days and hours that are told.
        examples: so many mails are shown.
    """

    rule: Rule
    rules: RuleSet
    goal: str
    within: int
    since: datetime | None
    zone: ZoneInfo
    examples: int = 3

    @cached_property
    def as_live(self) -> Rule:
        """The rule, as if it were live, whatever its document says."""
        return self.rule.model_copy(update={"status": "live"})

    @cached_property
    def current(self) -> Rule | None:
        """The version of it that runs now, if there is one."""
        known = self.rules.rules.get(self.rule.id)
        return known if known is not None and known.status != "draft" else None

    @property
    def before(self) -> RuleSet:
        """The rules as they are."""
        return self.rules

    @property
    def after(self) -> RuleSet:
        """The rules as they would be."""
        return self.rules.with_rule(self.as_live)

    @property
    def names(self) -> Iterator[tuple[str, str]]:
        """Type and name of the events that the rule looks at; not those of which any name will do, nor segments."""
        for watchable, _ in compile_rule(self.rule).watched:
            kind, name = watchable.subject
            if kind in EVENT_TYPES and name != ANY:
                yield kind, name


def goal_of(rule: Rule) -> str:
    """What a rule is for, as far as it says so: the first event that makes it needless, and otherwise an order."""
    _, trigger = rule.trigger.chosen  # type: ignore[attr-defined]
    for selector in (*getattr(trigger, "none_of", ()), *rule.exit_on):
        if selector.event:
            return str(selector.event)
    return DEFAULT_GOAL
