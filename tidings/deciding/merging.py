"""What an anonymous id had done, and how it becomes part of what its person has done.

The principle: it is as if the anonymous activity arrived now, late, at the person. Timelines are united mark by mark,
and re-read by the kind that owns them; what was announced under either id counts as announced.
"""

from typing import NamedTuple

from msgspec.structs import replace

from tidings.deciding.rulebook import CompiledRule, RuleBook
from tidings.deciding.runs import MOST_HEARD, MOST_RUNS, Run, resumed_at, spells_of
from tidings.deciding.state import PersonState
from tidings.rules.counting import Standing
from tidings.rules.kinds.base import KEYLESS, NEVER, START, STOP, Firing, Mark, Tracker
from tidings.rules.kinds.sessions import Sessions
from tidings.wire.decisions import Reason

Trackers = dict[str, Tracker]

MOST_KEYS = 200
"""A rule follows so many entry keys of one person at the same time; a new one makes room for itself."""

_NOTHING_TO_SHOW = ("identify", b"{}")
"""What a template is shown when nothing better is remembered: that somebody made themselves known."""


class United(NamedTuple):
    """What came of uniting two states.

    Attributes:
        begun: (rule, entry key, firing) of what is true of both together and was of neither alone.
        ended: (rule, run, why) of what does not go on.
        crowded_out: so many entry keys were too many.
    """

    begun: list[tuple[CompiledRule, str, Firing]]
    ended: list[tuple[CompiledRule, Run, Reason]]
    crowded_out: int


def unite(book: RuleBook, state: PersonState, handed: PersonState, now: int) -> United:
    """Put what an anonymous id has handed over into the state of its person; `handed` is used up.

    Every field of `PersonState` is either united here, or the runtime's own (`person`, `wake_at`, `timer_at`), or only
    ever set on an anonymous id (`moved_to`, `reachable`).
    """
    united = United([], [], 0)
    crowded_out = 0
    for rule_id in handed.runs.keys() | handed.heard.keys() | handed.trackers.keys():
        _unite_runs(book, state, handed, rule_id, united)
    for rule_id, theirs in handed.trackers.items():
        trackers = state.trackers.setdefault(rule_id, {})
        _unite_timelines(book, rule_id, trackers, theirs, now, united)
        crowded_out += make_room(trackers, MOST_KEYS)
    state.trackers = {rule_id: trackers for rule_id, trackers in state.trackers.items() if trackers}
    ours = (tracker.wake_at for trackers in state.trackers.values() for tracker in trackers.values())
    state.wake_at = min(state.wake_at, *ours, NEVER)
    state.seen |= handed.seen
    state.seen_before |= handed.seen_before
    if state.standing is not None:  # who belongs to which segment is told anew, from both
        state.standing.join(handed.standing or Standing())
    for name, told in handed.traits.items():
        if name not in state.traits or told[0] > state.traits[name][0]:
            state.traits[name] = told
    if handed.time_zone and (state.time_zone is None or handed.time_zone[0] > state.time_zone[0]):
        state.time_zone = handed.time_zone
    for category, word in handed.consent.items():
        state.learn_consent(category, word)
    if handed.reachable:  # and otherwise nothing was mailed, whatever was decided
        state.sent = sorted([*state.sent, *handed.sent])
    return united._replace(crowded_out=crowded_out)


def keep_newest(tracker: Tracker) -> None:
    """Of the marks of an anonymous id, let only the newest remember what a template would show.

    A kind that fires on an event does not keep its marks' properties, because it has the event at hand. When two ids
    are united there is none at hand, so one has to be kept.
    """
    kept = [place for place, mark in enumerate(tracker.marks) if mark.kept is not None]
    for place in kept[:-1]:
        tracker.marks[place] = replace(tracker.marks[place], kept=None)


# --- runs


def _unite_runs(book: RuleBook, state: PersonState, handed: PersonState, rule_id: str, united: United) -> None:
    """A run that has something left to send goes on under the person, unless the person has ended or repeated it."""
    mine = state.runs.get(rule_id, [])
    left: list[Run] = []
    for run, other in [*((run, handed) for run in mine), *((run, state) for run in handed.runs.get(rule_id, []))]:
        compiled = book.find(rule_id, run.version)
        if compiled is None:
            continue
        reason = _told_of(book, other, compiled, run)
        owned = False
        if other is state:
            tracker = state.trackers.get(rule_id, {}).get(run.key)
            owned = _has_an_owner(compiled, run, mine, tracker)
            if reason is None and (owned or _repeats(compiled, run, mine, tracker)):
                reason = "duplicate"
        if reason is None and len(left) >= MOST_RUNS:
            reason = "frequency_capped"
        if reason is None:
            left.append(run)
        elif not owned:  # and otherwise its identity is that of a send that has an ending of its own
            united.ended.append((compiled, run, reason))
    state.runs.pop(rule_id, None)
    if left:
        state.runs[rule_id] = left
    heard = {*state.heard.get(rule_id, ()), *handed.heard.get(rule_id, ())}
    if heard:
        state.heard[rule_id] = sorted(heard)[-MOST_HEARD:]


def _told_of(book: RuleBook, other: PersonState, compiled: CompiledRule, run: Run) -> Reason | None:
    """Tell a run what the other id did. Returns why it is over, if it is."""
    for heard in other.heard.get(compiled.id, ()):
        if book.find(compiled.id, heard.version) is compiled:
            run.hear(heard)
    if compiled.kind.ended_by & START:
        spells = spells_of(other.trackers.get(compiled.id, {}))
        run.ended_at = min(run.ended_at, resumed_at(spells, run.key, run.first_at))
    return "exited" if run.is_ended else None


def _has_an_owner(compiled: CompiledRule, run: Run, mine: list[Run], tracker: Tracker | None) -> bool:
    """Whether the person has a run of the same identity, so that the sends of both would be the same sends."""
    if compiled.re_entry.once and tracker is not None and tracker.fired_at is not None:
        return True
    return any((one.version, one.key, one.episode) == (run.version, run.key, run.episode) for one in mine)


def _repeats(compiled: CompiledRule, run: Run, mine: list[Run], tracker: Tracker | None) -> bool:
    """Whether the person has fired the rule on their own, so near that one of the two would not have been."""
    pause = NEVER if compiled.re_entry.once else compiled.re_entry.pause
    fired = [one.due_at for one in mine if one.key == run.key]
    if tracker is not None and tracker.fired_at is not None:
        fired.append(tracker.fired_at)
    return any(abs(at - run.due_at) < pause for at in fired)


# --- timelines


def _unite_timelines(book: RuleBook, rule_id: str, mine: Trackers, theirs: Trackers, now: int, united: United) -> None:
    """All timelines of one rule. Endings without a key reach every one of them, as in the engine."""
    my_endings, their_endings = endings_without_key(mine), endings_without_key(theirs)
    for key in [*theirs, *(key for key in mine if key not in theirs and their_endings)]:
        tracker = mine.get(key)
        its = theirs.get(key, Tracker(marks=their_endings))
        compiled = book.find(rule_id, (tracker and tracker.version) or its.version)
        if compiled is None or compiled.kind.stateless:
            continue
        if tracker is None:
            # What only the anonymous id has, goes over as it is.
            tracker, its = its, Tracker(marks=my_endings)
        firings = _unite(compiled, tracker, its, now)
        united.begun.extend((compiled, key, firing) for firing in firings)
        if not tracker.is_spent:
            mine[key] = tracker


def make_room(trackers: Trackers, most: int) -> int:
    """Forget the entry keys of which nothing has been heard for the longest time, until `most` are left.

    Returns how many were forgotten.
    """
    too_many = max(0, len(trackers) - most)
    for _ in range(too_many):
        del trackers[min(trackers, key=lambda key: trackers[key].latest)]
    return too_many


def endings_without_key(trackers: Trackers) -> list[Mark]:
    """The ending events of a rule that carry no key: they concern every key, those included that are yet to come."""
    keyless = trackers.get("")
    return [one for one in keyless.marks if one.flags & KEYLESS and one.flags & STOP] if keyless else []


def _unite(compiled: CompiledRule, tracker: Tracker, its: Tracker, now: int) -> list[Firing]:
    """Put the marks of `its` into `tracker`, one after another, and return what fires that neither had announced."""
    kept = [mark for mark in (*tracker.marks, *its.marks) if mark.kept is not None]
    known = {(mark.at, mark.message_id) for mark in tracker.marks}
    firings: list[Firing] = []
    announced = tracker.emitted = tracker.emitted + its.emitted
    if its.fired_at is not None and (compiled.re_entry.once or compiled.re_entry.pause):
        tracker.fired_at = max(tracker.fired_at or 0, its.fired_at)
    if not compiled.kind.keeps:
        tracker.marks = [replace(mark, kept=None) for mark in tracker.marks]
    for mark in its.marks:
        arriving = mark if compiled.kind.keeps else replace(mark, kept=None)
        if (mark.at, mark.message_id) not in known:
            firings += compiled.kind.arrive(tracker, arriving, now)
    if isinstance(compiled.kind, Sessions):
        compiled.kind.join(tracker, its)
    tracker.settled = max(tracker.settled, its.settled)
    tracker.version = compiled.version if tracker.running else ""
    if announced:  # a kind may have gone back and forth on the way here
        firings = firings[len(firings) - max(0, tracker.emitted - announced) :]
    return firings if compiled.kind.keeps else [_show(firing, kept) for firing in firings]


def _show(firing: Firing, kept: list[Mark]) -> Firing:
    """Let one mark of the firing carry what a template can show: the newest that is remembered."""
    newest = max(kept, default=None)
    shown = newest.kept if newest else _NOTHING_TO_SHOW
    places = [place for place, mark in enumerate(firing.marks) if newest and mark.message_id == newest.message_id]
    marks = list(firing.marks)
    place = places[0] if places else -1
    marks[place] = replace(marks[place], kept=shown)
    return firing._replace(marks=marks)
