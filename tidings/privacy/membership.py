"""Which segments somebody is in. The running engine's memory cannot be asked, so it is worked out again."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from tidings.deciding.engine import Engine
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.records.store import Profile
from tidings.rollout.rule_set import RuleSet
from tidings.rules.segments import Segment
from tidings.wire.events import Event, millis


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """One segment.

    Attributes:
        segment / name: its id, and what people call it.
        member: None when it cannot be told.
        told_by: `traits` as they are now, or `events` of the archive; empty when it cannot be told.
    """

    segment: str
    name: str
    member: bool | None
    told_by: str = ""


def memberships(
    person: str, profile: Profile | None, rules: RuleSet, history: Iterable[Event] | None, at: datetime
) -> list[Membership]:
    """All segments, in order.

    Args:
        person: as `Event.person`.
        profile: what is known of them.
        rules: those in force; of them only the segments matter.
        history: everything that the archive holds of the person; None when there is no archive to ask.
        at: the instant in question.
    """
    book = RuleSet({}, rules.segments).book()
    now = millis(at)
    state = PersonState(person)
    if history is not None:
        replay(Engine(book), person, history, now, state)
    if profile is not None:
        for name in sorted(book.segments.traits & profile.traits.keys() - state.traits.keys()):
            state.traits[name] = (millis(profile.trait_times[name]), profile.traits[name])
    if state.standing is not None:
        state.standing.judged_by = ""  # judge again, by what the profile has brought
    book.segments.refresh(state, now)
    return [_membership(one, state, rules, is_archived=history is not None) for one in _ordered(rules)]


def _ordered(rules: RuleSet) -> Sequence[Segment]:
    return [rules.segments[name] for name in sorted(rules.segments)]


def _membership(segment: Segment, state: PersonState, rules: RuleSet, *, is_archived: bool) -> Membership:
    asks_events = _asks_events(segment, rules)
    if asks_events and not is_archived:
        return Membership(segment=segment.id, name=segment.name, member=None)
    told_by = "events" if asks_events else "traits"
    return Membership(segment=segment.id, name=segment.name, member=state.is_in(segment.id), told_by=told_by)


def _asks_events(segment: Segment, rules: RuleSet) -> bool:
    """Whether it, or a segment that it asks about, is about what a person did."""
    return any(segment.leaves) or any(_asks_events(rules.segments[name], rules) for _, name in segment.asks)
