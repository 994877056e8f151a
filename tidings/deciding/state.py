"""What is remembered of one person, and how it is written down: a version byte, then MessagePack.

Never pickled: a running job must be able to read what the previous version of this code wrote. A new layout gets a
new version byte, and the reader goes on accepting the one before.
"""

import hashlib
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from tidings.deciding.runs import Heard, Run
from tidings.errors import TidingsError
from tidings.permission.consent import MARKETING
from tidings.rules.counting import Standing
from tidings.rules.kinds.base import NEVER, Tracker
from tidings.wire.events import Event, ObjectName

VERSION = 1
_DAY = 86_400_000
MEMORY = 400 * _DAY
"""How long the ledger remembers, and the longest that a browser may keep an anonymous id (RFC 6265bis, 5.5)."""

MOST_CATEGORIES = 32
"""So many categories a person may have spoken of; rule sets have a dozen."""


class PersonState(msgspec.Struct, array_like=True, gc=False):
    """One person's state; bounded, because every part of it ends.

    Attributes:
        person: whose state it is, as `Event.person`.
        trackers: rule id -> entry key -> what that rule remembers.
        seen / seen_before: 64-bit hashes of the messageIds of the last 24 to 48 hours, in two generations.
        seen_since: when the younger generation began, in milliseconds; 0 for never.
        wake_at: the earliest instant at which `engine.wake` has something to do.
        timer_at: what the runtime's timer is set to. The runtime's own note; the engine does not look at it.
        runs: rule id -> what has fired and still has something to do.
        sent: (time, category) of marketing mail, as far back as the longest frequency cap looks.
        traits: name -> (time, value), of the traits that an audience or segment asks about.
        time_zone: (time, IANA name).
        member_of: the segments that the person is in.
        moved_to: of an anonymous id, (since when, the known person who has joined it), oldest first.
        reachable: of an anonymous id, whether it named an address, so that what was decided for it may have gone out.
        standing: what is counted to tell which segments the person is in; None while there are no segments.
        heard: rule id -> recent events that a run may have to know of, though it has not begun yet.
        consent: category -> the latest word on it, as (time, whether it is a no): the greater of two is the later one,
            and at the same time a no.
    """

    person: str
    trackers: dict[str, dict[str, Tracker]] = {}
    seen: set[int] = set()
    seen_before: set[int] = set()
    seen_since: int = 0
    wake_at: int = NEVER
    timer_at: int = NEVER
    runs: dict[str, list[Run]] = {}
    sent: list[tuple[int, str]] = []
    traits: dict[str, tuple[int, Any]] = {}
    time_zone: tuple[int, str] | None = None
    member_of: set[str] = set()
    moved_to: list[tuple[int, str]] = []
    reachable: bool = False
    standing: Standing | None = None
    heard: dict[str, list[Heard]] = {}
    consent: dict[str, tuple[int, bool]] = {}

    @property
    def is_anonymous(self) -> bool:
        """Whether this is not a known person, but an anonymous id."""
        return self.person[0] == "a"

    def read(self, root: ObjectName) -> dict[str, Any]:
        """What conditions on a person may look at: their traits."""
        return {name: value for name, (_, value) in self.traits.items()} if root == "traits" else {}

    def is_in(self, segment: str) -> bool:
        """Whether the person is in a segment."""
        return segment in self.member_of

    def did(self, leaf: str) -> bool:
        """Whether a count of a segment is reached (see `tidings.deciding.membership`)."""
        return self.standing is not None and leaf in self.standing.held

    def learn(self, event: Event, names: AbstractSet[str]) -> None:
        """Take the traits of these names from an `identify`; a newer value is never replaced by an older one.

        What cannot be written down, because it holds an integer of more than 64 bits, counts as nothing.
        """
        traits = event.read("traits")
        for name in names & traits.keys():
            if event.at >= self.traits.get(name, (0, None))[0]:
                self.traits[name] = (event.at, traits[name] if _can_be_written(traits[name]) else None)

    def learn_time_zone(self, event: Event) -> None:
        """Take the time zone that a browser or an `identify` names."""
        zone = event.read("context").get("timezone") or event.read("traits").get("timezone")
        if isinstance(zone, str) and (self.time_zone is None or event.at >= self.time_zone[0]):
            self.time_zone = (event.at, zone)

    def learn_consent(self, category: str, word: tuple[int, bool]) -> None:
        """Take a word on consent; see `consent`. The order in which words are heard changes nothing.

        Of more than `MOST_CATEGORIES` the one is forgotten of which nothing was heard for the longest time. That is
        never the general one, and whatever it was, the mailer still knows.
        """
        self.consent[category] = max(word, self.consent.get(category, word))
        if len(self.consent) > MOST_CATEGORIES:
            del self.consent[min(self.consent.keys() - {MARKETING}, key=lambda one: (self.consent[one], one))]

    def is_new(self, message_id: str, now: int) -> bool:
        """Whether this messageId was not seen in the last 24 hours; from now on it was."""
        digest = int.from_bytes(hashlib.blake2b(message_id.encode(), digest_size=8).digest(), "big")
        if digest in self.seen or digest in self.seen_before:
            return False
        if now >= self.seen_since + _DAY:
            self.seen_before = self.seen if now < self.seen_since + 2 * _DAY else set()
            self.seen, self.seen_since = set(), now
        self.seen.add(digest)
        return True

    def forget(self, now: int, longest_cap: int) -> None:
        """Let go of messageIds older than a day, of mail that no cap counts, and of traits of people long gone."""
        self.sent = [one for one in self.sent if one[0] + longest_cap > now]
        if self.traits and now >= self._traits_until:
            self.traits = {}
            if self.standing is not None:
                self.standing.judged_by = ""  # told anew at the next step: to be forgotten is not to leave
        if self.consent and now >= self._consent_until:
            self.consent = {}
        if self.moved_to and now >= self._moved_until:
            self.moved_to = []
        for rule_id, heard in [*self.heard.items()]:
            self.heard[rule_id] = [one for one in heard if one.until > now]
            if not self.heard[rule_id]:
                del self.heard[rule_id]
        if self.seen_before and now >= self.seen_since + _DAY:
            self.seen_before = set()
        if self.seen and now >= self.seen_since + 2 * _DAY:
            self.seen = set()

    def forget_at(self, longest_cap: int) -> int:
        """When there is something to forget."""
        seen_until = self.seen_since + (_DAY if self.seen_before else 2 * _DAY) if self.seen else NEVER
        if not (self.sent or self.traits or self.moved_to or self.heard or self.consent):
            return seen_until
        sent_until = self.sent[0][0] + longest_cap if self.sent else NEVER
        heard_until = min((one.until for heard in self.heard.values() for one in heard), default=NEVER)
        return min(seen_until, sent_until, heard_until, self._traits_until, self._consent_until, self._moved_until)

    @property
    def _traits_until(self) -> int:
        """Traits are forgotten when none of them was heard of for as long as the ledger remembers."""
        return max((at for at, _ in self.traits.values()), default=NEVER - MEMORY) + MEMORY

    @property
    def _consent_until(self) -> int:
        """As traits. The proof itself is the store's."""
        return max(self.consent.values())[0] + MEMORY if self.consent else NEVER

    @property
    def _moved_until(self) -> int:
        """A browser that joined so long ago has a new anonymous id by now."""
        return self.moved_to[-1][0] + MEMORY if self.moved_to else NEVER

    @property
    def is_empty(self) -> bool:
        """Nothing is remembered: the cell can be cleared."""
        events = self.trackers or self.seen or self.seen_before or self.runs or self.sent or self.heard
        told = self.traits or self.consent or self.moved_to
        return not (events or told or (self.standing and self.standing.counts))


class UnreadableStateError(TidingsError):
    """Our own fault: the bytes were not written by this version or the one before it."""


_decoder = msgspec.msgpack.Decoder(PersonState)
_encoder = msgspec.msgpack.Encoder()


def _can_be_written(value: object) -> bool:
    try:
        _encoder.encode(value)
    except OverflowError:
        return False
    return True


def encode(state: PersonState) -> bytes:
    """The state as bytes."""
    return bytes([VERSION]) + _encoder.encode(state)


def decode(data: bytes) -> PersonState:
    """The state from bytes.

    Raises:
        UnreadableStateError: another version, or damaged.
    """
    if not data or data[0] != VERSION:
        raise UnreadableStateError(f"state of version {data[0] if data else 'none'}, expected {VERSION}")
    try:
        return _decoder.decode(memoryview(data)[1:])
    except msgspec.DecodeError as error:
        raise UnreadableStateError(str(error)) from None
