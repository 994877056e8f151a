"""How what is known of a person grows.

`join` is the least upper bound of a lattice: commutative, associative and idempotent. Events may therefore arrive
late, twice, in any order and through any number of workers, and the profile comes out the same.
"""

import logging
from datetime import datetime
from typing import Any

import msgspec

from tidings.errors import InvalidEventError
from tidings.records import address_age
from tidings.records.store import Profile, ProfileUpdate
from tidings.wire.events import Event

MAX_BYTES = 500_000
"""What one stored profile may take. Firestore refuses documents over 1 MiB, and refuses them for ever: without a bound
a visitor who sends ever new trait names could block everybody whose updates travel in the same batch."""

_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(Profile)


def from_event(event: Event) -> ProfileUpdate | None:
    """The traits that an `identify` brings; other events bring none.

    Raises:
        InvalidEventError: `bad_traits`, traits or context hold what JSON allows and we cannot keep, such as 1e999.
    """
    if event.type != "identify":
        return None
    try:
        traits = event.read("traits")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError("bad_traits", f"traits or context cannot be read: {type(error).__name__}") from None
    return ProfileUpdate(person=event.person, at=event.timestamp, received_at=event.received_at, traits=traits)


def merge(profile: Profile | None, update: ProfileUpdate) -> Profile:
    """The profile after one more update; `profile` itself is left alone."""
    news = Profile(
        person=update.person,
        traits=dict(update.traits),
        trait_times=dict.fromkeys(update.traits, update.at),
        first_seen=update.at,
        last_seen=update.at,
        joined=(update.at, update.joined) if update.joined else None,
        address_days=address_age.heard(update.traits, update.received_at or update.at),
    )
    return news if profile is None else join(profile, news)


def join(one: Profile, other: Profile) -> Profile:
    """Both profiles of one person as one: of each trait the newer value, at equal times the greater JSON encoding."""
    traits, times = dict(one.traits), dict(one.trait_times)
    for name, value in other.traits.items():
        at = other.trait_times[name]
        if name not in times or at > times[name] or (at == times[name] and _json(value) > _json(traits[name])):
            traits[name], times[name] = value, at
    return Profile(
        person=one.person,
        traits=traits,
        trait_times=times,
        first_seen=min((seen for seen in (one.first_seen, other.first_seen) if seen), default=None),
        last_seen=max((seen for seen in (one.last_seen, other.last_seen) if seen), default=None),
        joined=min((joined for joined in (one.joined, other.joined) if joined), default=None),
        address_days=address_age.join(one.address_days, other.address_days),
    )


def handed_over(profile: Profile, person: str, received_at: datetime) -> list[ProfileUpdate]:
    """What an anonymous id was known by, as updates of the person that it joined; each trait keeps its own time.

    `received_at` is when we heard that it joined them: until then nothing of it was theirs.
    """
    times = {*profile.trait_times.values()}
    updates = {at: ProfileUpdate(person=person, at=at, received_at=received_at, traits={}) for at in times}
    for name, at in profile.trait_times.items():
        updates[at].traits[name] = profile.traits[name]
    return list(updates.values())


def email(profile: Profile) -> str | None:
    """By what `Store.people_at` finds a profile: its address, in lower case."""
    found = profile.traits.get("email")
    return found.lower() if isinstance(found, str) else None


def encode(profile: Profile) -> bytes:
    """The stored form: JSON of at most `MAX_BYTES`. What outgrows it loses its older traits, half by half."""
    record = msgspec.json.encode(profile)
    if len(record) <= MAX_BYTES:
        return record
    newest = sorted(profile.traits, key=lambda name: (profile.trait_times[name], name), reverse=True)
    newest = newest[: len(newest) // 2]
    dropped = len(profile.traits) - len(newest)
    _log.warning("a profile outgrew %d bytes: %d of its traits are dropped", MAX_BYTES, dropped)
    shorter = msgspec.structs.replace(
        profile,
        traits={name: profile.traits[name] for name in newest},
        trait_times={name: profile.trait_times[name] for name in newest},
    )
    return encode(shorter)


def decode(record: bytes | str) -> Profile:
    """The inverse of `encode`.

    Raises:
        msgspec.DecodeError: the stored record is damaged.
    """
    return _decoder.decode(record)


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")
