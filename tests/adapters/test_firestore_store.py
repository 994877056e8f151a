"""What is Firestore's alone: the console, Google's limits, and a network that fails."""

import socket
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud import firestore
from msgspec.structs import replace

from tests.adapters.lossy_wire import LossyWire
from tests.adapters.scripted_firestore import ScriptedFirestore
from tests.contracts.samples import NOON, a_decision, a_feedback, a_receipt, at
from tidings.adapters.firestore_store import FirestoreStore
from tidings.errors import InvalidRuleError, StoreError
from tidings.records import retention
from tidings.records.profiles import MAX_BYTES
from tidings.records.store import Activity, Claim, ConsentRecord, LedgerEntry, ProfileUpdate, RuleRecord, Store
from tidings.rollout.versions import follow

LEASE = timedelta(seconds=60)


@pytest.fixture
def store(firestore_emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FirestoreStore]:
    """An empty store."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)
    store = FirestoreStore(f"test-{uuid.uuid4().hex[:12]}")
    yield store
    store.close()


class TestRulesInTheConsole:
    """Marketers edit the documents themselves."""

    def test_a_rule_typed_into_the_console_is_a_rule(self, store: FirestoreStore) -> None:
        """Its fields are the document's own fields, and its id is the document's."""
        document = {"status": "live", "steps": [{"send": "cart"}]}
        store.client.document("rules/50% off & more").set(document)
        store.report_rule("50% off & more", {"valid": True}, document)
        expected = RuleRecord(rule_id="50% off & more", document=document, last_good=document, report={"valid": True})
        assert store.rules() == [expected]

    def test_the_report_can_be_read_beside_the_rule(self, store: FirestoreStore) -> None:
        """As fields to unfold, not as a text of JSON."""
        report = {"valid": False, "faults": [{"path": "trigger", "value": None, "reason": "is missing"}]}
        store.put_rule("cart", {"status": "live"})
        store.report_rule("cart", report, {"status": "draft"})
        assert store.client.document("rules/cart").get().to_dict() == {
            "status": "live",
            "_tidings": {"report": report, "last_good": {"status": "draft"}},
        }

    def test_types_that_json_has_not_become_plain(self, store: FirestoreStore) -> None:
        """The same text at every reading, because the rule's version is made from it."""
        reference = store.client.document("a/b")
        fields = {"t": NOON, "g": firestore.GeoPoint(1, 2), "b": b"1", "r": reference, "n": float("nan"), "l": [NOON]}
        store.client.document("rules/cart").set(fields)
        (rule,) = store.rules()
        noon = "2024-02-29T12:00:00.123456+00:00"
        assert rule.document == {
            "t": noon,
            "g": "<GeoPoint>",
            "b": "<bytes>",
            "r": "<DocumentReference>",
            "n": "<float>",
            "l": [noon],
        }

    @pytest.mark.parametrize(
        "broken", ["text", {"report": "{", "last_good": 5}, {"report": [], "rule_id": "other"}, None]
    )
    def test_an_author_who_breaks_the_systems_field_breaks_nothing_else(
        self, store: FirestoreStore, broken: object
    ) -> None:
        """The rule is there, and the next report mends the field."""
        store.client.document("rules/cart").set({"status": "live", "_tidings": broken})
        assert store.rules() == [RuleRecord(rule_id="cart", document={"status": "live"})]
        store.report_rule("cart", {"valid": True}, None)
        assert store.rules() == [RuleRecord(rule_id="cart", document={"status": "live"}, report={"valid": True})]

    def test_a_document_that_firestore_cannot_hold_is_refused_by_path(self, store: FirestoreStore) -> None:
        """And the old one stays."""
        store.put_rule("cart", {"status": "live"})
        with pytest.raises(InvalidRuleError) as refused:
            store.put_rule("cart", {"a": {"b": [0, [1]]}, "n": 2**63, "": 1, "c": {"__d__": 1}})
        assert [(fault["path"], fault["value"]) for fault in refused.value.faults] == [
            ("a.b.1", [1]),
            ("n", 2**63),
            ("", ""),
            ("c.__d__", "__d__"),
        ]
        assert store.rules() == [RuleRecord(rule_id="cart", document={"status": "live"})]


class TestDocuments:
    """What an operator finds in the database."""

    def test_ledger_and_activity_say_when_they_expire(self, store: FirestoreStore) -> None:
        """400 days after the last change."""
        store.finish(store.claim(a_decision(), NOON, LEASE).entry, "sent", at(5))
        store.append_activity([Activity(activity_id="a", person="u:1", at=NOON, kind="event", label="Cart Viewed")])
        (line,) = store.client.collection_group("activity").stream()
        assert line.get("expires_at") == NOON + retention.ACTIVITY
        assert store.client.document("ledger/send-1").get().get("expires_at") == at(5) + retention.LEDGER

    def test_an_entry_of_a_version_whose_claims_had_no_id_is_gone_on_with(self, store: FirestoreStore) -> None:
        """By whoever held it when the new version came, and by whoever claims it next."""
        held = store.claim(a_decision(), NOON, LEASE).entry
        store.client.document("ledger/send-1").update({"claim_id": firestore.DELETE_FIELD})
        assert store.ledger_entry("send-1") == replace(held, claim_id="")
        taken = store.claim(a_decision(), NOON + LEASE, LEASE).entry
        assert store.finish(taken, "sent", at(61)) is not None

    def test_no_document_is_named_after_a_person(self, store: FirestoreStore) -> None:
        """A user id may be an address, and Google's error messages quote names of documents."""
        person = "u:ann@example.com"
        store.update_profiles([ProfileUpdate(person=person, at=NOON, traits={"a": 1})])
        record = ConsentRecord(record_id="m", person=person, category="news", action="given", at=NOON, source="event")
        store.record_consent([record])
        (profile,) = store.client.collection("profiles").stream()
        (consent,) = profile.reference.collection("consent").stream()
        assert profile.get("person") == person
        assert "ann" not in consent.reference.path

    def test_very_large_profiles_go_in_as_many_commits_as_they_need(self, store: FirestoreStore) -> None:
        """Thirty people of nearly half a megabyte each are more than one request may hold."""
        text = "x" * (MAX_BYTES - 1000)
        store.update_profiles([ProfileUpdate(person=f"u:{n}", at=NOON, traits={"t": text, "n": n}) for n in range(30)])
        for number in (0, 29):
            profile = store.profile(f"u:{number}")
            assert profile is not None
            assert profile.traits == {"t": text, "n": number}

    def test_a_profile_cannot_outgrow_its_document(self, store: FirestoreStore) -> None:
        """Else a visitor with ever new traits would block everybody in the same batch. The newest traits stay."""
        for number in range(40):
            news = ProfileUpdate(person="u:1", at=at(number), traits={f"t{number}": "x" * 30_000})
            store.update_profiles([news, ProfileUpdate(person="u:2", at=at(number), traits={"n": number})])
        profile, neighbour = store.profile("u:1"), store.profile("u:2")
        assert profile is not None
        assert neighbour is not None
        assert "t39" in profile.traits
        assert "t0" not in profile.traits
        assert (profile.first_seen, profile.last_seen) == (NOON, at(39))
        assert neighbour.traits == {"n": 39}


HELD = LedgerEntry(send_id="send-1", status="claimed", decision=a_decision(), updated_at=NOON, lease_until=NOON)

CALLS: dict[str, Callable[[Store], Any]] = {
    "profile": lambda store: store.profile("u:1"),
    "update_profiles": lambda store: store.update_profiles([ProfileUpdate(person="u:1", at=NOON)]),
    "record_consent": lambda store: store.record_consent(
        [ConsentRecord(record_id="m", person="u:1", category="news", action="given", at=NOON, source="event")]
    ),
    "consent": lambda store: store.consent("u:1"),
    "suppress": lambda store: store.suppress("digest", "bounce", NOON),
    "suppression": lambda store: store.suppression("digest"),
    "claim": lambda store: store.claim(a_decision(), NOON, LEASE),
    "release": lambda store: store.release(HELD, NOON),
    "lift_suppression": lambda store: store.lift_suppression("digest"),
    "wait": lambda store: store.wait(HELD, NOON, NOON),
    "waiting": lambda store: store.waiting(NOON, 10),
    "append_feedback": lambda store: store.append_feedback([a_feedback()]),
    "feedback": lambda store: store.feedback("u:1"),
    "has_feedback": lambda store: store.has_feedback("u:1", "f-1"),
    "use_once": lambda store: store.use_once("name", NOON),
    "take": lambda store: store.take("name", 1, 10, NOON),
    "tally": lambda store: store.tally("name", {"sent": 1}, NOON),
    "tallies": lambda store: store.tallies(["name"]),
    "note": lambda store: store.note("name"),
    "put_note": lambda store: store.put_note("name", {}),
    "people_at": lambda store: store.people_at("ann@example.com"),
    "joined_to": lambda store: store.joined_to("u:1"),
    "erase_person": lambda store: store.erase_person("u:1"),
    "put_receipt": lambda store: store.put_receipt(a_receipt()),
    "receipts": lambda store: store.receipts(),
    "erased_at": lambda store: store.erased_at("digest"),
    "hand_over": lambda store: store.hand_over(HELD, NOON),
    "finish": lambda store: store.finish(HELD, "sent", NOON),
    "reopen": lambda store: store.reopen("send-1", NOON),
    "ledger_entry": lambda store: store.ledger_entry("send-1"),
    "ledger": lambda store: store.ledger(),
    "ledger_of_rule": lambda store: store.ledger_of_rule("cart-abandoned", NOON, 10),
    "rules": lambda store: store.rules(),
    "put_rule": lambda store: store.put_rule("cart", {}),
    "report_rule": lambda store: store.report_rule("cart", {}, None),
    "delete_rule": lambda store: store.delete_rule("cart"),
    "segments": lambda store: store.segments(),
    "put_segment": lambda store: store.put_segment("buyers", {}),
    "report_segment": lambda store: store.report_segment("buyers", {}, None),
    "delete_segment": lambda store: store.delete_segment("buyers"),
    "keep_version": lambda store: store.keep_version(follow(None, "rule", "cart", "v1", {}, NOON, "push")),
    "versions": lambda store: store.versions("rule", "cart"),
    "append_activity": lambda store: store.append_activity(
        [Activity(activity_id="a", person="u:1", at=NOON, kind="event", label="Cart Viewed")]
    ),
    "activity": lambda store: store.activity("u:1"),
}


class TestFailingNetwork:
    """A fault that passes is a `StoreError`, in time."""

    @pytest.fixture(params=["nobody listens", "nobody answers"])
    def unreachable(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FirestoreStore]:
        """A store on a port that refuses, or on one that accepts and then says nothing."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{server.getsockname()[1]}")
            if request.param == "nobody listens":
                server.close()
            store = FirestoreStore("test-nowhere", timeout=0.2)
            yield store
            store.close()

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
    def test_no_call_waits_for_ever(self, unreachable: FirestoreStore, call: Callable[[Store], Any]) -> None:
        """Google's client on its own would try for a minute, or five."""
        with pytest.raises(StoreError):
            call(unreachable)

    @pytest.mark.parametrize("refusal", ["PERMISSION_DENIED", "UNAUTHENTICATED", "INVALID_ARGUMENT"])
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
    def test_a_refusal_is_a_store_error_that_quotes_nothing(
        self, monkeypatch: pytest.MonkeyPatch, refusal: str, call: Callable[[Store], Any]
    ) -> None:
        """Permissions and credentials are mended while we run, so whoever asks tries again."""
        with ScriptedFirestore(grpc.StatusCode[refusal]) as firestore:
            monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore.address)
            store = FirestoreStore("test-refused")
            with pytest.raises(StoreError, match=r"^Firestore: [A-Za-z]+$"):
                call(store)
            store.close()

    def test_credentials_that_are_missing_are_a_store_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Found out before the first call."""
        monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/ann.json")
        with pytest.raises(StoreError, match=r"^Firestore: DefaultCredentialsError$"):
            FirestoreStore("test-nobody")

    def test_every_call_of_the_protocol_is_tried(self) -> None:
        """Closing is not a call to the network, and what is over Firestore deletes by itself."""
        assert CALLS.keys() == {name for name in dir(Store) if not name.startswith("_")} - {"close", "expire"}

    @pytest.fixture
    def wire(
        self, store: FirestoreStore, firestore_emulator: str, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[LossyWire]:
        """Between a second worker and the emulator."""
        with LossyWire(firestore_emulator) as wire:
            monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", wire.address)
            yield wire

    def test_a_worker_whose_answer_was_lost_still_knows_its_claim(self, store: FirestoreStore, wire: LossyWire) -> None:
        """The claim went through; asking again must not find it held by somebody else."""
        worker = FirestoreStore(store.client.project)
        wire.lose_answer(b"claimed", lambda: store.ledger_entry("send-1") is not None)
        answer, entry = worker.claim(a_decision(), NOON, LEASE)
        assert (answer, entry) == (Claim.GRANTED, store.ledger_entry("send-1"))
        worker.close()
        assert wire.lost == 1

    def test_a_worker_whose_answer_was_lost_still_hands_over(self, store: FirestoreStore, wire: LossyWire) -> None:
        """Otherwise nobody would, and the mail would be lost in the unknown."""

        def handed_over() -> bool:
            entry = store.ledger_entry("send-1")
            return entry is not None and entry.status == "handing_over"

        held = store.claim(a_decision(), NOON, LEASE).entry
        worker = FirestoreStore(store.client.project)
        wire.lose_answer(b"handing_over", handed_over)
        assert worker.hand_over(held, at(1)) is True
        assert store.hand_over(held, at(1)) is False
        worker.close()
        assert wire.lost == 1
