"""What is remembered of one person, and how it is written down: a version byte, then MessagePack.

Never pickled: a running job must be able to read what the previous version of this code wrote. A new layout gets a
new version byte, and the reader goes on accepting the one before.
"""

import hashlib

import msgspec

from tidings.errors import TidingsError
from tidings.kinds.base import NEVER, Tracker

VERSION = 1
_DAY = 86_400_000


class PersonState(msgspec.Struct, array_like=True, gc=False):
    """One person's state; bounded, because every part of it ends.

    Attributes:
        person: whose state it is, as `Event.person`.
        trackers: rule id -> entry key -> what that rule remembers.
        seen / seen_before: 64-bit hashes of the messageIds of the last 24 to 48 hours, in two generations.
        seen_since: when the younger generation began, in milliseconds; 0 for never.
        wake_at: the earliest instant at which `engine.wake` has something to do.
        timer_at: what the runtime's timer is set to. The runtime's own note; the engine does not look at it.
    """

    person: str
    trackers: dict[str, dict[str, Tracker]] = {}
    seen: set[int] = set()
    seen_before: set[int] = set()
    seen_since: int = 0
    wake_at: int = NEVER
    timer_at: int = NEVER

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

    def forget_seen(self, now: int) -> None:
        """Let go of messageIds older than a day."""
        if self.seen_before and now >= self.seen_since + _DAY:
            self.seen_before = set()
        if self.seen and now >= self.seen_since + 2 * _DAY:
            self.seen = set()

    @property
    def seen_until(self) -> int:
        """When there is something to forget in `seen`."""
        if self.seen_before:
            return self.seen_since + _DAY
        return self.seen_since + 2 * _DAY if self.seen else NEVER

    @property
    def is_empty(self) -> bool:
        """Nothing is remembered: the cell can be cleared."""
        return not (self.trackers or self.seen or self.seen_before)


class UnreadableStateError(TidingsError):
    """Our own fault: the bytes were not written by this version or the one before it."""


_decoder = msgspec.msgpack.Decoder(PersonState)
_encoder = msgspec.msgpack.Encoder()


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
