"""Ann, who left traces of every kind in a store, first as an anonymous visitor, and Bob, who did the same."""

from datetime import timedelta

import msgspec

from tests.contracts.samples import a_decision, a_feedback, at
from tidings.permission.consent import address_digest
from tidings.records.feedback import Origin
from tidings.records.store import Activity, ConsentRecord, Letter, ProfileUpdate, Store
from tidings.settings import Settings
from tidings.wire.events import Event

SETTINGS = Settings(
    secret="a secret of the right length", mail_from="A Shop <shop@shop.example>", postal_address="12 Quay Street"
)
ANN, BEFORE, BOB = "u:ann-17", "a:browser-5", "u:bob-18"
ADDRESS, EARLIER, OF_BOB = "Ann.Lee@example.com", "ann@old.example", "bob@example.com"
ORIGIN = Origin(ip="192.0.2.7", user_agent="Mozilla/5.0 (Ann's phone)")
NAMES = [ANN[2:], BEFORE[2:], "Ann.Lee", "ann@old", ORIGIN.ip, "Ann's phone", "Annelies"]
"""What must be nowhere once Ann is forgotten."""


def digest(address: str) -> str:
    """The name under which it is suppressed."""
    return address_digest(address, SETTINGS.secret)


def live(store: Store) -> None:
    """Everything that can be kept of somebody."""
    store.update_profiles(
        [
            ProfileUpdate(person=BEFORE, at=at(0), traits={"email": EARLIER}),
            ProfileUpdate(person=BEFORE, at=at(5), joined=ANN),
            ProfileUpdate(person=ANN, at=at(0), traits={"email": EARLIER}),
            ProfileUpdate(person=ANN, at=at(5), traits={"email": ADDRESS, "name": "Annelies", "plan": "pro"}),
            ProfileUpdate(person=BOB, at=at(5), traits={"email": OF_BOB, "plan": "free"}),
        ]
    )
    for person in (ANN, BEFORE, BOB):
        _leave_traces(store, person)


def _leave_traces(store: Store, person: str) -> None:
    theirs = {"person": person}
    origin = Origin(ip="198.51.100.9") if person == BOB else ORIGIN
    yes = ConsentRecord(
        record_id="form:marketing:given", category="marketing", action="given", at=at(1), source="event",
        words="Write to me", origin=origin, **theirs,
    )  # fmt: skip
    store.record_consent([yes])
    seen = Activity(
        activity_id="e-m1", at=at(2), kind="event", label="Product Viewed", detail={"type": "track"}, **theirs
    )
    decided = Activity(activity_id=f"d-1{person}", at=at(9), kind="decision", label="cart-abandoned", **theirs)
    store.append_activity([seen, decided])
    for name, address in (("sent", EARLIER), ("waiting", ADDRESS)):
        decision = a_decision(f"{name}-{person}", person)
        held = store.claim(decision, at(10), timedelta(minutes=1)).entry
        letter = Letter(
            provider="ses",
            subject=f"A lamp for {person}",
            links=() if person == BOB else ("https://shop.example/?for=Ann.Lee%40example.com",),
            address_digest=digest(address),
        )
        if name == "sent":
            store.hand_over(held, at(11), letter)
            store.finish(held, "sent", at(12))
        else:
            store.wait(held, at(11), at(3600))
    store.append_feedback([a_feedback("click-1", 20, person=person, send_id=f"sent-{person}", origin=origin)])


def archived() -> list[Event]:
    """What the archive holds of both, as it was received."""
    who = [(ANN[2:], BEFORE[2:], ADDRESS), (BOB[2:], "browser-6", OF_BOB)]
    found = []
    for user, browser, address in who:
        seen = {"anonymous_id": browser, "timestamp": at(0), "received_at": at(0)}
        found += [
            Event(
                message_id=f"{browser}-1",
                type="track",
                event="Product Viewed",
                properties=_raw(name="Lamp"),
                context=_raw(library={"name": "analytics.js"}),
                **seen,
            ),  # type: ignore[arg-type]
            Event(
                message_id=f"{browser}-2",
                type="identify",
                user_id=user,
                traits=_raw(email=address),
                **{**seen, "timestamp": at(5), "received_at": at(5)},
            ),  # type: ignore[arg-type]
        ]
    return found


def _raw(**fields: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(fields))
