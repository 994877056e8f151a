"""What every store promises about people, rules and activity, sentence by sentence."""

import itertools
from collections.abc import Callable
from datetime import date, timedelta, timezone
from functools import partial
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from tests.contracts.samples import AWKWARD_KEYS, NOON, at, together
from tidings.feedback import Origin
from tidings.store import (
    ERASED,
    RESERVED,
    Activity,
    ConsentRecord,
    Profile,
    ProfileUpdate,
    RuleRecord,
    Store,
    Suppression,
)

AWKWARD_JSON: dict[str, Any] = {
    "lists in lists": [[1, [2, [3]]], []],
    "large": 2**64 + 1,
    "": {"": None},
    "__name__": {"a.b": {"`": "\\"}},
    "whole": 1.0,
    "text": "\x00 \N{SNOWMAN} \N{GRINNING FACE}",
    "deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {"j": [[[[[[[[[[[[1]]]]]]]]]]]]}}}}}}}}}},
    "no": False,
    "nothing": None,
}


def an_update(seconds: float, person: str = "u:1", **traits: Any) -> ProfileUpdate:
    return ProfileUpdate(person=person, at=at(seconds), traits=traits)


class TestProfiles:
    """What is known of people."""

    def test_a_person_never_heard_of_has_no_profile(self, store: Store) -> None:
        """None, not an empty profile."""
        assert store.profile("u:nobody") is None

    def test_the_first_update_makes_a_profile(self, store: Store) -> None:
        """With the time of each trait, to the microsecond."""
        store.update_profiles([an_update(0, plan="free")])
        assert store.profile("u:1") == Profile(
            person="u:1", traits={"plan": "free"}, trait_times={"plan": NOON}, first_seen=NOON, last_seen=NOON
        )

    def test_a_trait_is_taken_only_when_it_is_not_older_than_what_is_stored(self, store: Store) -> None:
        """And each trait by its own time."""
        store.update_profiles([an_update(10, plan="pro", city="Bonn")])
        store.update_profiles([an_update(5, plan="free", name="Ann")])
        store.update_profiles([an_update(20, city="Rome")])
        profile = store.profile("u:1")
        assert profile is not None
        assert profile.traits == {"plan": "pro", "city": "Rome", "name": "Ann"}
        assert profile.trait_times == {"plan": at(10), "city": at(20), "name": at(5)}
        assert (profile.first_seen, profile.last_seen) == (at(5), at(20))

    def test_the_order_of_updates_does_not_change_the_result(self, open_again: Callable[[], Store]) -> None:
        """Every order of four updates, two of them at the same instant, in one call or in several."""
        store = open_again()
        news: list[dict[str, Any]] = [{"a": 1, "b": 1}, {"a": 2}, {"a": 10, "c": None}, {"b": [2]}]
        orders = list(itertools.permutations(zip((0, 1, 1, 2), news, strict=True)))
        for number, order in enumerate(orders):
            updates = [an_update(seconds, f"u:{number}", **traits) for seconds, traits in order]
            store.update_profiles(updates[: number % 5])
            store.update_profiles(updates[number % 5 :])
        for number in range(len(orders)):
            profile = store.profile(f"u:{number}")
            assert profile is not None
            # "2" is the greater of the encodings "2" and "10"
            assert profile.traits == {"a": 2, "b": [2], "c": None}
            assert profile.trait_times == {"a": at(1), "b": at(2), "c": at(1)}
            assert (profile.first_seen, profile.last_seen) == (at(0), at(2))

    def test_an_update_without_traits_still_says_that_the_person_was_here(self, store: Store) -> None:
        """Only the time of the visit is news."""
        store.update_profiles([an_update(3)])
        assert store.profile("u:1") == Profile(person="u:1", first_seen=at(3), last_seen=at(3))

    def test_traits_may_hold_any_json(self, store: Store) -> None:
        """Also what a database would rather not hold, unchanged down to the type of number."""
        store.update_profiles([an_update(0, **AWKWARD_JSON)])
        profile = store.profile("u:1")
        assert profile is not None
        assert profile.traits == AWKWARD_JSON
        assert isinstance(profile.traits["whole"], float)

    def test_every_person_is_someone_else_however_their_key_looks(self, store: Store) -> None:
        """No key is refused, cut short or mistaken for another."""
        store.update_profiles([an_update(number, key, n=number) for number, key in enumerate(AWKWARD_KEYS)])
        for number, key in enumerate(AWKWARD_KEYS):
            profile = store.profile(key)
            assert profile is not None
            assert (profile.person, profile.traits) == (key, {"n": number})

    def test_one_call_may_bring_news_of_very_many_people(self, store: Store) -> None:
        """More than fit into any one batch."""
        store.update_profiles([])
        store.update_profiles([an_update(0, f"u:{number}", n=number) for number in range(1201)])
        for number in (0, 499, 500, 1000, 1200):
            profile = store.profile(f"u:{number}")
            assert profile is not None
            assert profile.traits == {"n": number}

    def test_writers_at_the_same_instant_lose_nothing(self, open_again: Callable[[], Store]) -> None:
        """Ten workers, each with a trait of its own for the same two people."""
        people = ["u:1", "u:2"]
        stores = [open_again() for _ in range(10)]
        together(
            [
                partial(
                    store.update_profiles, [an_update(number, person, **{f"t{number}": number}) for person in people]
                )
                for number, store in enumerate(stores)
            ]
        )
        for person in people:
            profile = stores[0].profile(person)
            assert profile is not None
            assert profile.traits == {f"t{number}": number for number in range(10)}


def a_consent(record_id: str, seconds: float = 0, person: str = "u:1", given: bool = True) -> ConsentRecord:
    return ConsentRecord(
        record_id=record_id,
        person=person,
        category="marketing",
        action="given" if given else "withdrawn",
        at=at(seconds),
        source="event",
        words="Yes, write to me: \N{SNOWMAN}",
    )


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


RULE: dict[str, Any] = {"id": "cart", "trigger": {"not_performed": {"within": "15m", "events": ["Order Completed"]}}}
REPORT: dict[str, Any] = {
    "valid": False,
    "version": "abc",
    "faults": [{"path": "trigger.within", "value": [[1]], "reason": "is no duration"}],
    "checked_at": "2024-02-29T12:00:00Z",
}


class Shelf(NamedTuple):
    """The rules of a store, or its segments: both are documents that people write."""

    all: Callable[[], list[RuleRecord]]
    put: Callable[[str, dict[str, Any]], None]
    report: Callable[[str, dict[str, Any], dict[str, Any] | None], None]
    delete: Callable[[str], None]


def shelf(store: Store, kind: str) -> Shelf:
    calls = (f"{kind}s", f"put_{kind}", f"report_{kind}", f"delete_{kind}")
    return Shelf(*(getattr(store, name) for name in calls))


@pytest.fixture(params=["rule", "segment"])
def kind(request: pytest.FixtureRequest) -> str:
    """Everything below holds for both."""
    return str(request.param)


@pytest.fixture
def rules(store: Store, kind: str) -> Shelf:
    """Rules or segments."""
    return shelf(store, kind)


class TestRules:
    """What authors wrote, beside what the system says of it."""

    def test_a_rule_comes_back_exactly_as_its_author_left_it(self, rules: Shelf) -> None:
        """Whatever its fields are called."""
        document = RULE | {
            "a.b": {"c.d": 1, "`": 2},
            "1st step": [{"send": "cart"}],
            "empty": {},
            "none": None,
            "x": 1.0,
        }
        rules.put("cart", document)
        assert rules.all() == [RuleRecord(rule_id="cart", document=document)]

    def test_rules_are_ordered_by_id(self, rules: Shelf) -> None:
        """And an id may look like anything."""
        for key in AWKWARD_KEYS:
            rules.put(key, {"name": key})
        assert [rule.rule_id for rule in rules.all()] == sorted(AWKWARD_KEYS)
        assert all(rule.document == {"name": rule.rule_id} for rule in rules.all())

    def test_putting_a_rule_replaces_the_document_and_keeps_what_the_system_said(self, rules: Shelf) -> None:
        """A field that the author removed is gone."""
        for rule_id in ("cart", "a/b"):
            rules.put(rule_id, RULE | {"status": "live"})
            rules.report(rule_id, REPORT, RULE)
            rules.put(rule_id, {"id": "cart", "trigger": {}})
        assert rules.all() == [
            RuleRecord(rule_id=rule_id, document={"id": "cart", "trigger": {}}, last_good=RULE, report=REPORT)
            for rule_id in ("a/b", "cart")
        ]

    def test_a_report_leaves_the_authors_document_alone(self, rules: Shelf) -> None:
        """The latest report replaces the one before it, and so does the last good version."""
        rules.put("cart", RULE)
        rules.report("cart", {"valid": True}, RULE)
        rules.report("cart", REPORT, None)
        assert rules.all() == [RuleRecord(rule_id="cart", document=RULE, last_good=None, report=REPORT)]

    def test_a_report_on_an_unknown_rule_changes_nothing(self, rules: Shelf) -> None:
        """The author may have deleted it a moment ago."""
        rules.report("cart", REPORT, RULE)
        assert rules.all() == []

    def test_an_author_cannot_write_what_the_system_says(self, rules: Shelf) -> None:
        """A document copied with the system's own field loses that field."""
        rules.put("cart", RULE | {RESERVED: {"report": {"valid": True}}})
        rules.put("cart", RULE | {RESERVED: "mine"})
        assert rules.all() == [RuleRecord(rule_id="cart", document=RULE)]

    def test_a_date_in_a_rule_becomes_text(self, rules: Shelf) -> None:
        """YAML reads an unquoted date as a date; JSON has none."""
        rules.put("cart", {"from": date(2024, 2, 29)})
        assert rules.all()[0].document == {"from": "2024-02-29"}

    def test_an_empty_document_is_a_document(self, rules: Shelf) -> None:
        """It is invalid, and its author should hear so."""
        rules.put("cart", RULE)
        rules.put("cart", {})
        rules.put("new", {})
        assert [rule.document for rule in rules.all()] == [{}, {}]

    def test_a_deleted_rule_is_gone_with_its_report(self, rules: Shelf) -> None:
        """Deleting it again does nothing."""
        rules.put("cart", RULE)
        rules.report("cart", REPORT, RULE)
        rules.delete("cart")
        rules.delete("cart")
        assert rules.all() == []
        rules.put("cart", RULE)
        assert rules.all() == [RuleRecord(rule_id="cart", document=RULE)]

    def test_authors_and_the_system_may_write_at_the_same_instant(
        self, open_again: Callable[[], Store], kind: str
    ) -> None:
        """One whole document of one author, and the report, are what remains."""
        shelves = [shelf(open_again(), kind) for _ in range(10)]
        shelves[0].put("cart", RULE)
        documents = [{f"only {number}": number, "both": number} for number in range(5)]
        together(
            [partial(one.put, "cart", document) for one, document in zip(shelves, documents, strict=False)]
            + [partial(one.report, "cart", REPORT, RULE) for one in shelves[5:]]
        )
        (rule,) = shelves[0].all()
        assert rule.document in documents
        assert (rule.report, rule.last_good) == (REPORT, RULE)


def test_a_rule_and_a_segment_of_one_name_do_not_meet(store: Store) -> None:
    """Each has its own document and its own report."""
    store.put_rule("cart", RULE)
    store.put_segment("cart", {"where": {}})
    store.report_rule("cart", REPORT, RULE)
    store.delete_rule("cart")
    assert store.rules() == []
    assert store.segments() == [RuleRecord(rule_id="cart", document={"where": {}})]


def a_line(activity_id: str, seconds: float = 0, person: str = "u:1", **detail: Any) -> Activity:
    return Activity(
        activity_id=activity_id, person=person, at=at(seconds), kind="event", label="Cart Viewed", detail=detail
    )


class TestActivity:
    """What people did, for the support agent."""

    def test_the_latest_lines_come_first(self, store: Store) -> None:
        """At equal times the greater id, and no more than asked for."""
        lines = [a_line("a", 1), a_line("b", 3), a_line("d", 2), a_line("c", 2)]
        store.append_activity(lines)
        assert store.activity("u:1") == [lines[1], lines[2], lines[3], lines[0]]
        assert store.activity("u:1", limit=2) == [lines[1], lines[2]]

    def test_a_long_feed_comes_whole_and_in_order(self, store: Store) -> None:
        """Longer than one answer of a database, with equal times at the seams."""
        store.append_activity([a_line(f"{number:04}", number // 7) for number in range(2300)])
        found = [line.activity_id for line in store.activity("u:1", limit=1_000_000)]
        assert found == [f"{number:04}" for number in reversed(range(2300))]
        assert [line.activity_id for line in store.activity("u:1", limit=1500)] == found[:1500]

    def test_everybody_has_a_feed_of_their_own(self, store: Store) -> None:
        """Also when an id is used twice."""
        store.append_activity([])
        store.append_activity([a_line("a", total=1), a_line("a", person="u:2", total=2)])
        assert store.activity("u:1") == [a_line("a", total=1)]
        assert store.activity("u:2") == [a_line("a", person="u:2", total=2)]
        assert store.activity("u:3") == []

    def test_a_line_is_written_once(self, store: Store) -> None:
        """The first one stays, and new ones in the same call still go in."""
        store.append_activity([a_line("a", total=1)])
        store.append_activity([a_line("a", total=2), a_line("b", 1), a_line("b", 2)])
        assert store.activity("u:1") == [a_line("b", 1), a_line("a", total=1)]

    def test_the_detail_may_hold_any_json(self, store: Store) -> None:
        """As traits may."""
        store.append_activity([a_line("a", **AWKWARD_JSON)])
        assert store.activity("u:1") == [a_line("a", **AWKWARD_JSON)]

    def test_very_many_lines_may_come_at_once(self, store: Store) -> None:
        """A busy bundle of the pipeline."""
        lines = [a_line(f"{number:04}", number) for number in range(1100)]
        store.append_activity(lines)
        assert store.activity("u:1", limit=2000) == lines[::-1]


@pytest.mark.parametrize("close_first", [True, False])
def test_what_was_written_is_there_for_the_next_one_who_opens_the_store(
    open_again: Callable[[], Store], close_first: bool
) -> None:
    """While the writer still has it open, and after it has closed."""
    writer = open_again()
    writer.update_profiles([an_update(0, a=1)])
    writer.record_consent([a_consent("a")])
    writer.put_rule("cart", RULE)
    writer.put_segment("buyers", RULE)
    writer.append_activity([a_line("a")])
    if close_first:
        writer.close()
    reader = open_again()
    assert reader.profile("u:1") == Profile(
        person="u:1", traits={"a": 1}, trait_times={"a": NOON}, first_seen=NOON, last_seen=NOON
    )
    assert reader.consent("u:1") == [a_consent("a")]
    assert reader.rules() == [RuleRecord(rule_id="cart", document=RULE)]
    assert reader.segments() == [RuleRecord(rule_id="buyers", document=RULE)]
    assert reader.activity("u:1") == [a_line("a")]
