"""What every store promises about consent, and about addresses that must not be mailed."""

from datetime import timedelta, timezone

from msgspec.structs import replace

from tests.contracts.samples import AWKWARD_KEYS, NOON, a_consent, at
from tidings.records.feedback import Origin
from tidings.records.store import ERASED, ConsentRecord, Store, Suppression


class TestConsent:
    """The proof of who agreed to what."""

    def test_it_comes_back_oldest_first(self, store: Store) -> None:
        """By time, and then by record id."""
        records = [a_consent("c", 2), a_consent("b", 1), a_consent("a", 1), a_consent("d", 0)]
        store.record_consent(records)
        assert store.consent("u:1") == [records[3], records[2], records[1], records[0]]

    def test_nobody_has_consented_to_anything_at_first(self, store: Store) -> None:
        """And nobody speaks for somebody else."""
        store.record_consent([])
        store.record_consent([a_consent("a", person="u:2")])
        assert store.consent("u:1") == []

    def test_a_record_is_never_changed_afterwards(self, store: Store) -> None:
        """The proof stands: neither a later call nor the same call writes over it, and its neighbours still go in."""
        store.record_consent([a_consent("a")])
        store.record_consent([a_consent("a", 5, given=False), a_consent("b", 6), a_consent("b", 7)])
        assert store.consent("u:1") == [a_consent("a"), a_consent("b", 6)]

    def test_one_persons_record_does_not_hide_anothers(self, store: Store) -> None:
        """Also when a careless sender uses one messageId for both."""
        store.record_consent([a_consent("a"), a_consent("a", person="u:2", given=False)])
        assert store.consent("u:2") == [a_consent("a", person="u:2", given=False)]

    def test_record_ids_may_look_like_anything(self, store: Store) -> None:
        """They are made of ids that senders choose."""
        records = [a_consent(key, number) for number, key in enumerate(AWKWARD_KEYS)]
        store.record_consent(records)
        assert store.consent("u:1") == records

    def test_very_many_records_may_come_at_once(self, store: Store) -> None:
        """An import of an old list, repeated halfway through."""
        records = [a_consent(f"{number:04}", number) for number in range(1100)]
        store.record_consent(records[:700])
        store.record_consent(records)
        assert store.consent("u:1") == records

    def test_it_holds_everything_that_proof_needs(self, store: Store) -> None:
        """Where it came from is kept apart, and told to whoever asks for it."""
        record = ConsentRecord(
            record_id="m-1:news:confirmed",
            person="u:1",
            category="news",
            action="confirmed",
            at=NOON,
            source="confirmation_page",
            words="Ja, schreibt mir",
            words_version="3",
            language="de",
            channel="email",
            origin=Origin(ip="2001:db8::1", user_agent="Mozilla/5.0 \N{SNOWMAN}"),
            mailbox="d" * 64,
        )
        store.record_consent([record, a_consent("a", 1)])
        assert store.consent("u:1", origins=True) == [record, a_consent("a", 1)]
        assert store.consent("u:1") == [replace(record, origin=None), a_consent("a", 1)]

    def test_an_instant_may_come_in_any_time_zone(self, store: Store) -> None:
        """What counts is the instant."""
        east = timezone(timedelta(hours=9))
        record = ConsentRecord(
            record_id="a", person="u:1", category="news", action="given", at=NOON.astimezone(east), source="import"
        )
        store.record_consent([a_consent("b", -1), record, a_consent("c", 1)])
        assert [found.at for found in store.consent("u:1")] == [at(-1), NOON, at(1)]


class TestSuppressions:
    """Addresses that must not be mailed."""

    def test_that_somebody_was_erased_is_a_reason_that_no_other_one_hides(self, store: Store) -> None:
        """It says that the address must not come back, which a bounce does not."""
        store.suppress("digest-1", "bounce", NOON)
        for when in (9, 10):
            store.suppress("digest-1", ERASED, at(when))
        store.suppress("digest-1", "complaint", at(11))
        assert store.suppression("digest-1") == Suppression(reason=ERASED, at=at(9))

    def test_an_address_is_suppressed_for_ever(self, store: Store) -> None:
        """Once is enough, twice does no harm, and no other address is touched."""
        assert not store.suppression("digest-1")
        store.suppress("digest-1", "bounce", NOON)
        store.suppress("digest-1", "complaint", at(9))
        assert store.suppression("digest-1") == Suppression(reason="bounce", at=NOON)
        assert not store.suppression("digest-2")

    def test_a_person_can_take_it_off_the_list(self, store: Store) -> None:
        """And put it on again; taking off what is not there does nothing."""
        store.lift_suppression("digest-1")
        store.suppress("digest-1", "bounce", NOON)
        store.lift_suppression("digest-1")
        assert store.suppression("digest-1") is None
        store.suppress("digest-1", "erased", at(9))
        assert store.suppression("digest-1") == Suppression(reason="erased", at=at(9))
