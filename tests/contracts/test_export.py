"""A person gets everything that is kept about them, and nothing of anybody else."""

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.contracts.lives import ADDRESS, ANN, BEFORE, BOB, EARLIER, OF_BOB, ORIGIN, SETTINGS, archived, digest, live
from tests.contracts.samples import a_decision, at
from tidings.history import sources
from tidings.history.sources import Unit
from tidings.permission.consent import person_digest
from tidings.privacy.export import DERIVED, PROVIDED, SCHEMA, export
from tidings.records import retention
from tidings.records.store import ERASED, Activity, ConsentRecord, ProfileUpdate, Store
from tidings.wire.events import encode

VIEWERS = {"where": {"performed": {"event": "Product Viewed"}}}
PROS = {"name": "On the pro plan", "where": {"path": "traits.plan", "equals": "pro"}}
BOTH = {"where": {"all": [{"segment": "viewers"}, {"segment": "pros"}]}}


@pytest.fixture
def lived(store: Store) -> Store:
    live(store)
    for name, document in (("viewers", VIEWERS), ("pros", PROS), ("both", BOTH)):
        store.put_segment(name, document)
    return store


@pytest.fixture
def archive(tmp_path: Path) -> list[Unit]:
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(encode(one) for one in archived())))
    return sources.files([str(path)])


def exported(store: Store, person: str = ANN, **more: Any) -> dict[str, Any]:
    """What somebody gets, as they read it from the file."""
    found: dict[str, Any] = json.loads(json.dumps(export(store, SETTINGS, person, at(100), "operator", **more)))
    return found


def test_everything_that_the_store_keeps_is_there(lived: Store) -> None:
    found = exported(lived)
    assert found["schema"] == SCHEMA
    assert found.keys() == {
        "schema", "exported_at", "receipt_id", "controller", "person", "ids", *PROVIDED, *DERIVED, "sources",
        "recipients", "retention", "portability", "missing", "counts",
    }  # fmt: skip
    assert found["ids"] == [ANN, BEFORE]
    assert [one["person"] for one in found["profiles"]] == [ANN, BEFORE]
    traits = {one["name"]: (one["value"], one["at"][:19]) for one in found["profiles"][0]["traits"]}
    assert traits["email"] == (ADDRESS, "2024-02-29T12:00:05")
    assert found["profiles"][1]["joined"]["person"] == ANN
    assert [(one["words"], one["origin"]["ip"]) for one in found["consents"]] == [("Write to me", ORIGIN.ip)] * 2
    assert {one["label"] for one in found["activity"]} == {"Product Viewed", "cart-abandoned"}
    assert {(one["subject"], one["status"]) for one in found["sends"] if one["subject"]} == {
        (f"A lamp for {ANN}", "sent"),
        (f"A lamp for {BEFORE}", "sent"),
    }
    assert found["sends"][0]["because_of"][0]["event"] == "Cart Viewed"
    assert [(one["kind"], one["origin"]["user_agent"]) for one in found["feedback"]] == [
        ("clicked", ORIGIN.user_agent)
    ] * 2
    assert found["recipients"] == ["ses"]
    assert {one["of"]: one["from"] for one in found["sources"]}["feedback"] == ["engage"]
    assert found["counts"] == {name: len(found[name]) for name in (*PROVIDED, *DERIVED)}


def test_nothing_of_anybody_else_is_there(lived: Store, archive: list[Unit]) -> None:
    text = json.dumps(exported(lived, archive=archive))
    assert BOB not in text
    assert OF_BOB not in text
    assert "browser-6" not in text


def test_what_somebody_else_did_later_on_the_same_computer_is_not_there(lived: Store) -> None:
    """The anonymous id goes on after it has joined Ann. What of that is hers stands under her own id once more."""
    lived.update_profiles([ProfileUpdate(person=BEFORE, at=at(60), traits={"email": OF_BOB})])
    lived.append_activity([Activity(activity_id="e-x", person=BEFORE, at=at(60), kind="event", label="Bobs Secret")])
    bobs = ConsentRecord(
        record_id="x", person=BEFORE, category="bobs", action="given", at=at(60), source="event", words="Bob, please"
    )
    lived.record_consent([bobs])
    text = json.dumps(exported(lived))
    assert [word for word in ("Bobs Secret", "Bob, please", OF_BOB) if word in text] == []
    assert EARLIER not in [one["address"] for one in exported(lived)["suppressions"]]


def test_a_number_that_nobody_can_read_is_shown_as_it_was_written(lived: Store, tmp_path: Path) -> None:
    """It must not keep the rest from anybody."""
    odd = msgspec.Raw(b'{"total": 1e999}')
    decision = a_decision("odd", ANN)
    trigger = msgspec.structs.replace(decision.event, properties=odd)
    lived.claim(msgspec.structs.replace(decision, events=(trigger,)), at(20), timedelta(minutes=1))
    (tmp_path / "odd.jsonl").write_bytes(encode(msgspec.structs.replace(archived()[0], user_id=ANN[2:], context=odd)))
    found = exported(lived, archive=sources.files([str(tmp_path / "odd.jsonl")]))
    [send] = [one for one in found["sends"] if one["send_id"] == "odd"]
    assert send["because_of"][0]["properties"] == '{"total": 1e999}'
    assert "1e999" in found["events"][0]


def test_it_says_whether_the_address_is_suppressed_and_why(lived: Store) -> None:
    lived.suppress(digest(EARLIER), "550 5.1.1", at(50))
    assert [(one["address"], one["suppressed"], one["reason"]) for one in exported(lived)["suppressions"]] == [
        (ADDRESS, False, None),
        (EARLIER, True, "550 5.1.1"),
    ]


def test_it_says_how_long_each_thing_is_kept(lived: Store) -> None:
    kept = {one["what"]: one["days"] for one in exported(lived)["retention"]}
    assert kept["activity feed"] == retention.ACTIVITY.days
    assert kept["profile: traits and their times"] is None


def test_with_the_archive_it_has_every_event_whole_and_every_segment(lived: Store, archive: list[Unit]) -> None:
    found = exported(lived, archive=archive)
    assert [one["type"] for one in found["events"]] == ["track", "identify"]
    assert found["events"][0]["properties"] == {"name": "Lamp"}
    assert {one["of"]: one["from"] for one in found["sources"]}["events"] == ["analytics.js"]
    assert [(one["segment"], one["member"], one["told_by"]) for one in found["segments"]] == [
        ("both", True, "events"),
        ("pros", True, "traits"),
        ("viewers", True, "events"),
    ]
    assert found["missing"] == []


def test_without_the_archive_it_says_what_is_missing_and_why(lived: Store) -> None:
    found = exported(lived)
    assert found["events"] == []
    assert [(one["segment"], one["member"]) for one in found["segments"]] == [
        ("both", None),
        ("pros", True),
        ("viewers", None),
    ]
    assert [one["what"] for one in found["missing"]] == ["events", "segments whose member is null"]


def test_an_archive_that_holds_nothing_of_them_is_an_answer_too(lived: Store, tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_bytes(encode(archived()[-1]))
    found = exported(lived, archive=sources.files([str(tmp_path / "none.jsonl")]))
    assert [(one["segment"], one["member"]) for one in found["segments"]] == [
        ("both", False),
        ("pros", True),
        ("viewers", False),
    ]
    assert found["missing"] == []


def test_a_receipt_is_kept_that_names_nobody(lived: Store) -> None:
    found = exported(lived)
    [receipt] = lived.receipts(person_digest(ANN, SETTINGS.secret))
    assert (receipt.receipt_id, receipt.kind, receipt.requested_by) == (found["receipt_id"], "export", "operator")
    assert receipt.counts == found["counts"]
    assert ANN[2:] not in str(msgspec.to_builtins(receipt))
    assert lived.erased_at(person_digest(ANN, SETTINGS.secret)) is None


def test_somebody_of_whom_nothing_is_kept_gets_a_file_that_says_so(lived: Store) -> None:
    found = exported(lived, "u:nobody")
    assert {name: found[name] for name in PROVIDED} == {name: [] for name in PROVIDED}


def test_after_an_erasure_the_copy_says_what_is_left(lived: Store) -> None:
    lived.suppress(digest(ADDRESS), ERASED, at(50))
    lived.erase_person(BEFORE)
    assert [one["reason"] for one in exported(lived)["suppressions"]] == [ERASED]
