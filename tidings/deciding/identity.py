"""Who an event belongs to: what somebody did before we knew them joins what they do afterwards.

An `identify` with both ids, or an `alias`, joins an anonymous id to a known person. Beam's graph has no cycles, so the
anonymous id hands over what it remembers as a message through the events topic, once, and sends on what comes later.
Both end at a known person, and a known person sends nothing on: that is why nothing goes round for ever.

Who owns what an anonymous id does is a matter of time. The first person to join it owns everything until then and from
then on; when another person joins it, on a shared computer, what is done from then on is theirs.
"""

import hashlib
from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from tidings.deciding import state as states
from tidings.deciding.engine import NOTHING, Engine, Outcome
from tidings.deciding.erasure import Erased
from tidings.deciding.state import PersonState
from tidings.errors import InvalidEventError
from tidings.wire import attributes, events
from tidings.wire.events import Event, millis

SCHEMA = "tidings.handover.v1"
"""The Pub/Sub attribute `schema` of every handover."""

JOINING = frozenset({"identify", "alias"})
"""The types of events that may join two ids."""

_MOST_OWNERS = 32
"""An anonymous id that everybody uses, in a library say, remembers so many changes of its owner."""

Owners = list[tuple[int, str]]


class Handover(Event, frozen=True, kw_only=True):
    """An alias that brings along what its anonymous id remembers. Only the pipeline writes these.

    Attributes:
        message_id: derived from content, so that it is taken in once, however often it is delivered.
        state: as `tidings.deciding.state.encode`, with its version byte.
    """

    state: bytes

    @property
    def anonymous(self) -> str:
        """The key of the anonymous id."""
        return f"a:{self.previous_id}"


class Taken(NamedTuple):
    """What came of an element: what was decided, and what goes onward, through the events topic, to a known person."""

    outcome: Outcome
    onward: Sequence[Event]


def joins(event: Event) -> str | None:
    """The key of the anonymous id that joins the event's person by it, if one does.

    That is `anonymousId` of an `identify`, and `previousId` of an `alias`. A `previousId` that names a known person
    joins nobody: as an anonymous id it has done nothing, and one person's data never moves to another.
    """
    if event.type == "identify":
        joining = event.anonymous_id
    elif event.type == "alias" and not isinstance(event, Handover):
        joining = event.previous_id
    else:
        return None
    return f"a:{joining}" if joining and event.user_id else None


def addressees(event: Event) -> tuple[str, ...]:
    """The ids that must hear of an event: its person, and the anonymous id that it joins to them."""
    anonymous = joins(event)
    return (event.person,) if anonymous is None else (event.person, anonymous)


def take(engine: Engine, known: PersonState, event: Event, now: int) -> Taken:
    """What one id does with an event that is addressed to it. What is `known` of the id is changed in place."""
    if isinstance(event, Erased):
        _become(known, PersonState(known.person, timer_at=known.timer_at))
        return Taken(NOTHING, ())
    if not known.is_anonymous:
        if isinstance(event, Handover):
            return Taken(_unpack(engine, known, event, now), ())
        return Taken(engine.feed(known, (event,), now), ())
    if event.user_id:
        return Taken(NOTHING, _hand_over(known, event))
    if known.moved_to:
        return Taken(NOTHING, (_claimed(event, owner(known.moved_to, event.at)),))
    if event.type == "identify" and event.read("traits").get("email"):
        known.reachable = True
    return Taken(engine.feed(known, (event,), now), ())


def _unpack(engine: Engine, known: PersonState, handover: Handover, now: int) -> Outcome:
    if not known.is_new(handover.message_id, now):
        return NOTHING._replace(duplicates=1)
    return engine.merge(known, states.decode(handover.state), now)


def _hand_over(known: PersonState, event: Event) -> Sequence[Event]:
    """Note the owner. The first one gets everything there is, and what stays is where it went."""
    if known.moved_to:
        own(known.moved_to, event)
        return ()
    everything = states.encode(known)
    left = PersonState(known.person, timer_at=known.timer_at, moved_to=[(event.at, event.person)])
    left.wake_at = left.forget_at(longest_cap=0)
    _become(known, left)
    handover = Handover(
        message_id=_digest(known.person, event.person, event.message_id),
        type="alias",
        user_id=event.user_id,
        previous_id=known.person.removeprefix("a:"),
        timestamp=event.timestamp,
        received_at=event.received_at,
        state=everything,
    )
    return (handover,)


def _become(known: PersonState, other: PersonState) -> None:
    for name in other.__struct_fields__:
        setattr(known, name, getattr(other, name))


def _claimed(event: Event, person: str) -> Event:
    """An event of an anonymous id, as if its person had been known."""
    return msgspec.structs.replace(event, user_id=person.removeprefix("u:"))


# --- who owns what an anonymous id does


def own(owners: Owners, event: Event) -> None:
    """Note that the event's person owns what is done from then on."""
    if not owners or owner(owners, event.at) != event.person:
        insort(owners, (event.at, event.person))
        del owners[:-_MOST_OWNERS]


def owner(owners: Owners, at: int) -> str:
    """Whose it is, if it was done at `at`. The first owner has what came before them, too."""
    return next((person for since, person in reversed(owners) if since <= at), owners[0][1])


def follow(anonymous: str, heard: Iterable[Event]) -> Iterator[tuple[str, Event]]:
    """(person, event) of everything that an anonymous id did: its first person, the owner at that time, or nobody.

    The same that `take` does step by step, for whoever has the whole past at hand.

    Args:
        anonymous: the key of the id.
        heard: everything addressed to it, in any order.
    """
    owners: Owners = []
    alone: list[Event] = []
    for event in sorted(heard, key=events.receipt):
        if owners and millis(event.received_at) >= owners[-1][0] + states.MEMORY:
            owners = []
        if isinstance(event, Erased):
            yield from ((anonymous, one) for one in alone)
            # Whoever had joined it has its memory of that, and hands nothing over twice: they must hear of it.
            yield from ((person, event) for person in sorted({person for _, person in owners} or {anonymous}))
            owners, alone = [], []
        elif event.user_id:
            own(owners, event)
            yield from ((event.person, one) for one in alone)
            alone = []
        elif owners:
            yield owner(owners, event.at), event
        else:
            alone.append(event)
    yield from ((anonymous, one) for one in alone)


def resolve(history: Iterable[Event]) -> dict[str, list[Event]]:
    """Everybody's events, each at the person it belongs to in the end, with the ids that it came with.

    `tidings.deciding.replay.replay` takes one of these lists.
    """
    heard: dict[str, list[Event]] = defaultdict(list)
    people: dict[str, list[Event]] = defaultdict(list)
    for event in history:
        for key in addressees(event):
            (heard if key.startswith("a:") else people)[key].append(event)
    for anonymous, its in heard.items():
        for person, event in follow(anonymous, its):
            people[person].append(event)
    return people


# --- on the wire


def message(onward: Event) -> tuple[bytes, dict[str, str]]:
    """Data and attributes of what goes onward through the events topic.

    An event that follows its person keeps its messageId, by which the engine knows repeats. The attribute of that name
    is a new one, because Dataflow drops a message whose attribute it has seen in the last ten minutes.
    """
    about = attributes.of_event(onward)
    if isinstance(onward, Handover):
        about["schema"] = SCHEMA
    else:
        about |= {"messageId": _digest(onward.message_id, onward.person), "copyOf": onward.message_id}
    return events.encode(onward), about


_decoder = msgspec.json.Decoder(Handover)


def decode(data: bytes) -> Handover:
    """Read a handover from the wire.

    Raises:
        InvalidEventError: `not_a_handover`.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("not_a_handover", f"not what the pipeline writes: {type(error).__name__}") from None


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
