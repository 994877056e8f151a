"""Plays a story through the engine, and says where what comes of it differs from what was expected.

What only the mailer finds out (an address, consent, a template that fails) is not decided here: there such a send
counts as one. `tidings simulate` plays the same story with the mailer.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from tidings.deciding import identity
from tidings.deciding.engine import Engine, Fault, Outcome
from tidings.deciding.replay import replay
from tidings.deciding.rulebook import RuleBook
from tidings.deciding.state import PersonState
from tidings.rollout.rule_set import RuleSet
from tidings.simulating.stories import Story, endings_of
from tidings.simulating.story_documents import Ending
from tidings.wire.decisions import Decision, Reason
from tidings.wire.events import Event, millis

OF_THE_MAILER: frozenset[Reason] = frozenset(
    {"missing_address", "no_consent", "opted_out", "suppressed_address", "render_failed", "waited_too_long"}
)
"""The reasons that the mailer gives; `opted_out` is the engine's as well, when it has heard the no."""


class Difference(NamedTuple):
    """What is otherwise than expected for one person (or anonymous id, as `Event.person`).

    Attributes:
        missing: was expected, and did not come.
        unexpected: came, and was not expected.
        hints: what may be behind it, each one sentence.
    """

    person: str
    missing: Sequence[Ending]
    unexpected: Sequence[Ending]
    hints: Sequence[str] = ()


class Played(NamedTuple):
    """What came of a story. `outside` and `faults` as in `tidings.deciding.engine.Outcome`."""

    decisions: Sequence[Decision]
    outside: Sequence[Decision] = ()
    faults: Sequence[Fault] = ()


def play(story: Story, rules: RuleSet) -> Played:
    """Everything that is decided in a story.

    Args:
        story: what happens.
        rules: those that run, see `Story.chosen`.
    """
    book = rules.book()
    engine, until = Engine(book), millis(story.until) + 1  # what is due at its last instant is a part of it
    known = acquainted(story, book)
    outcomes: list[Outcome] = []
    for person, history in identity.resolve(story.events).items():
        outcomes.append(replay(engine, person, history, until, known.get(person)))
    return Played(
        [decision for one in outcomes for decision in one.decisions],
        [decision for one in outcomes for decision in one.outside],
        [fault for one in outcomes for fault in one.faults],
    )


def acquainted(story: Story, book: RuleBook) -> dict[str, PersonState]:
    """What the engine has learnt of everybody before the story. It is no activity of theirs: they have done nothing."""
    states = {}
    for who, person in story.people.items():
        context = {"timezone": person.time_zone} if person.time_zone else {}
        introduction = Event(
            message_id="",
            type="identify",
            user_id=who,
            timestamp=story.known_since,
            received_at=story.known_since,
            traits=msgspec.Raw(msgspec.json.encode(person.known_as(who))),
            context=msgspec.Raw(msgspec.json.encode(context)),
        )
        state = PersonState(introduction.person)
        state.learn(introduction, book.traits)
        state.learn_time_zone(introduction)
        state.wake_at = state.forget_at(book.longest_cap)
        states[introduction.person] = state
    return states


def without_mailer(expected: Iterable[Ending]) -> list[Ending]:
    """What the engine decides, where the mailer has the last word."""
    return [one._replace(ends="send") if one.ends in OF_THE_MAILER else one for one in expected]


def compare(expected: Iterable[Ending], played: Played) -> list[Difference]:
    """Where what the engine has decided differs, person by person."""
    wanted, found = Counter(expected), Counter(endings_of(played.decisions))
    differences = differ(Counter(without_mailer((wanted - found).elements())), found - wanted)
    return [one._replace(hints=[*_hints(one, played)]) for one in differences]


def differ(wanted: Counter[Ending], found: Counter[Ending]) -> list[Difference]:
    """Where two lists of endings differ, person by person."""
    missing, unexpected = [*(wanted - found).elements()], [*(found - wanted).elements()]
    return [
        Difference(
            person,
            sorted(one for one in missing if one.person == person),
            sorted(one for one in unexpected if one.person == person),
        )
        for person in sorted({one.person for one in (*missing, *unexpected)})
    ]


def _hints(difference: Difference, played: Played) -> Iterable[str]:
    for one in played.decisions:
        stopped = [gate for gate in one.gates if not gate.passed]
        if stopped and endings_of([one])[0] in difference.unexpected:
            detail = f" ({stopped[-1].detail})" if stopped[-1].detail else ""
            yield f"{one.rule_id} was stopped by {stopped[-1].name.replace('_', ' ')}{detail}"
    of_missing = {one.rule for one in difference.missing}
    for rule in sorted({one.rule_id for one in played.outside if one.person == difference.person} & of_missing):
        yield f"{rule} fired, and its audience is not about this person"
    for fault in played.faults:
        if fault.event.person == difference.person and fault.rule_id in (*of_missing, "*"):
            yield f"{fault.rule_id} could not read {fault.event.label}: {fault.detail}"
