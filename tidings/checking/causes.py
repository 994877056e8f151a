"""What the mail of one rule does to another: it comes back as a report, and a rule may begin with that.

See `tidings.feedback.email_events`. Where no report about that mail fits, there is no link; and a rule that stops by
itself (`re_entry: once`) has none. Score and segment are left out: neither fires again while it stays above the
threshold, or in the segment, so nothing can run away through them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from tidings.checking.contradictions import clash, is_implied
from tidings.checking.places import Placed, starts_of
from tidings.feedback.email_events import NAMES, SENT, SUPPRESSED
from tidings.rules.conditions import Condition, paths_of, segments_of
from tidings.rules.kinds.session_ended import SessionCount
from tidings.rules.own_mail import REPORTS
from tidings.rules.rule import Rule
from tidings.rules.surroundings import Pause
from tidings.wire.decisions import PERSON, REASONS

CLICKED = NAMES["clicked"]
CAUSED: Mapping[str, Mapping[str, Any]] = {
    SENT: {},
    SUPPRESSED: {"reason": {"in": [*REASONS]}},
    NAMES["delivered"]: {},
    NAMES["bounced"]: {"status": {}, "permanent": {"not_equals": True}},
    NAMES["opened"]: {"agent": {"in": ["human", "proxy"]}},
    CLICKED: {"agent": {"equals": "human"}, "link_id": {}, "link_url": {}},
}
"""The reports that mail can bring about again and again, with what is known of the properties that others do not have.

Who has complained or unsubscribed, or has a dead address, gets no further mail to do so again with.
"""

_NEW_WITH_EVERY_MAIL = "properties.email_id"


class Link(NamedTuple):
    """Reports about mail of one rule that may begin another.

    Attributes:
        source / target: ids of rules.
        event: the name of the reports.
        path: where the target names it.
        is_certain: each of them begins it, whatever it says.
        pace: so many milliseconds at least lie between two of them.
    """

    source: str
    target: str
    event: str
    path: str
    is_certain: bool
    pace: int


Fed = Mapping[str, Sequence[Sequence[Link]]]
"""For each rule everything that it needs to begin, and for each of these what may bring it about."""


def fed(rules: Sequence[Rule]) -> Fed:
    """How mail of these rules begins these rules."""
    again = [one for one in rules if one.re_entry != "once" or _NEW_WITH_EVERY_MAIL in _keys(one)]
    return {target.id: [list(_links(again, target, group)) for group in _needs(target)] for target in again}


def _keys(rule: Rule) -> list[str]:
    """What its episodes are kept apart by."""
    return [one for one in (rule.entry_key, _counts_by(rule)) if one is not None]


def _counts_by(rule: Rule) -> str | None:
    return getattr(rule.trigger.chosen[1], "by", None)  # type: ignore[attr-defined]


def _needs(rule: Rule) -> list[list[Placed]]:
    """Everything that must happen for a rule to begin: one event of each of the lists."""
    kind, _ = rule.trigger.chosen  # type: ignore[attr-defined]
    if kind in ("score", "segment"):
        return []
    starts = starts_of(rule)
    if kind == "sequence":
        return [[one] for one in starts]
    wanted = [[one] for one in starts if isinstance(one.selector, SessionCount) and one.selector.bounds[0]]
    return wanted or [[one for one in starts if not isinstance(one.selector, SessionCount)]]


def _links(rules: Iterable[Rule], target: Rule, need: Iterable[Placed]) -> Iterator[Link]:
    """All that mail of these rules may do for one thing that a rule needs."""
    for one in need:
        kind, event = one.selector.subject
        if kind != "track" or event not in CAUSED:  # who names no event means no report
            continue
        for source in rules:
            is_own = source.id == target.id and event in REPORTS
            if is_own or not any(send.to == PERSON for send in source.sends) or not _share_people(source, target):
                continue
            known, wanted = _known(source, event, one, target), one.selector.where
            if clash(_all([*known, *([wanted] if wanted else [])])) is None:
                is_certain = _is_enough(one, target) and is_implied(wanted, _all(known))
                yield Link(source.id, target.id, event, one.path, is_certain, _pace(source, event))


def _share_people(one: Rule, other: Rule) -> bool:
    """Whether somebody may be in both audiences, going by traits: in which segment they are may change on the way."""
    audiences = [rule.audience for rule in (one, other) if rule.audience is not None]
    return any(any(segments_of(audience)) for audience in audiences) or clash(_all(audiences)) is None


def _known(source: Rule, event: str, asked: Placed, target: Rule) -> list[Condition]:
    """What is known of such a report about mail of a rule, as far as somebody asks."""
    of_mail = {"email_id": {"exists": True}, "email_subject": {}, "category": {"equals": source.category}}
    of_rule = {name: {"equals": source.id} for name in ("campaign_id", "campaign_name")}
    facts = {f"properties.{name}": fact for name, fact in {**of_mail, **of_rule, **CAUSED[event]}.items()}
    by = _counts_by(target)
    paths = {*paths_of(asked.selector.where)} if asked.selector.where else set()
    nothing = {path: {"exists": False} for path in paths | ({by} if by else set()) if path not in facts}
    known = [*facts.items(), *nothing.items(), *([(by, {"exists": True})] if by else [])]
    return [Condition.model_validate({"path": path, **fact}) for path, fact in known if fact]


def _all(conditions: list[Condition]) -> Condition:
    return Condition.model_construct(_fields_set={"all_"}, all_=conditions)


def _is_enough(placed: Placed, rule: Rule) -> bool:
    """Whether one such event is all that it takes."""
    activity, selector = getattr(rule.trigger.chosen[1], "after_at_least", None), placed.selector  # type: ignore[attr-defined]
    counts = [getattr(selector, "times", 1), getattr(selector, "at_least", 1), getattr(activity, "times", 1)]
    return len(_needs(rule)) == 1 and all(count in (None, 1) for count in counts)


def _pace(rule: Rule, event: str) -> int:
    """The time at least from one such report about mail of a rule to the next, of one person."""
    kind, document = rule.trigger.chosen  # type: ignore[attr-defined]
    silence = {"not_performed": "within", "inactive": "for_", "session_ended": "gap"}.get(kind)
    times = [getattr(document, silence)] if silence else [0]
    times.append(sum(step.wait or 0 for step in takewhile(lambda one: one.send is None, rule.all_steps)))
    if isinstance(rule.re_entry, Pause) and _NEW_WITH_EVERY_MAIL not in _keys(rule):
        times.append(rule.re_entry.after)
    if rule.cap is not None and event != SUPPRESSED:  # what the cap stops is reported as well
        times.append(rule.cap.per // rule.cap.max)
    return max(times)
