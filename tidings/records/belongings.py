"""What the store keeps of an anonymous id, its traits and its word on consent, goes over to its person."""

from datetime import datetime

import msgspec

from tidings.records import profiles
from tidings.records.store import ProfileUpdate, Store


def hand_over(store: Store, anonymous: str, person: str, at: datetime, received_at: datetime, *, is_last: bool) -> None:
    """Copy it, once early and once for good. Doing it again changes nothing.

    Early, because the mail that an `identify` brings about must find the consent that was given just before it. For
    good, when the anonymous id itself hands over, because by then everything that it said is in the store.

    Args:
        store: where it is.
        anonymous: the id, as `Event.person`.
        person: the person, as `Event.person`.
        at: when the one joined the other. Only the first person to join gets anything: see `Profile.joined`.
        received_at: when we heard of it.
        is_last: whether this is the time for good. An early time after the first one has nothing left to do.

    Raises:
        StoreError: try again.
    """
    profile = store.profile(anonymous)
    if profile is None or profile.joined is None:
        store.update_profiles([ProfileUpdate(person=anonymous, at=at, joined=person)])
        profile = store.profile(anonymous)
    elif not is_last:
        return
    if profile is None or profile.joined is None or profile.joined[1] != person:
        return
    if updates := profiles.handed_over(profile, person, received_at):
        store.update_profiles(updates)
    if records := store.consent(anonymous):
        store.record_consent([msgspec.structs.replace(one, person=person) for one in records])
