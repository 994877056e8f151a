"""What the pipeline writes to the store before it decides: and whose address it does not let in again."""

import logging

import pytest
from apache_beam.utils.timestamp import Timestamp

from pipeline import rulebooks, secret
from pipeline.options import RulesSettings, TidingsOptions
from pipeline.write import UpdateProfiles, WriteActivity, activity_of_event
from tests.people import an_event, at
from tidings.adapters.sqlite_store import SqliteStore
from tidings.deciding import erasure
from tidings.permission.consent import address_digest, is_erased, person_digest
from tidings.records.store import ERASED, Activity, Receipt
from tidings.wire import events

SECRET = "a secret of sixteen characters"
ADDRESS = "grace@example.com"


@pytest.fixture(autouse=True)
def _of_its_own():
    """Neither a worker nor a secret of another test."""
    before = set(rulebooks._workers)
    secret.resolve.cache_clear()
    yield
    secret.resolve.cache_clear()
    for settings in set(rulebooks._workers) - before:
        rulebooks._workers.pop(settings).fault = InterruptedError()


@pytest.fixture
def rules(tmp_path):
    return RulesSettings(store=f"sqlite:{tmp_path}/store.db")


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(f"{tmp_path}/store.db")
    store.suppress(address_digest(ADDRESS, SECRET), ERASED, at("09:00"))
    yield store
    store.close()


def through(step, *elements):
    """One bundle; returns what passes on."""
    step.start_bundle()
    for element in elements:
        step.process(element, Timestamp(0))
    return [one.value for one in step.finish_bundle()]


def identify(when="10:00", **more):
    return an_event("", when, type="identify", traits={"email": ADDRESS, "plan": "pro"}, **more)


def test_an_erased_address_is_neither_written_nor_passed_on(store, rules):
    """To nobody who hears of it: not to the person, and not to the anonymous id that joins them."""
    event = identify(user_id="grace", anonymous_id="x")
    passed = through(UpdateProfiles(rules, SECRET), ("u:grace", event), ("a:x", event))
    assert [key for key, _ in passed] == ["u:grace", "a:x"]
    assert not [one for _, one in passed if ADDRESS.encode() in events.encode(one)]
    traits = store.profile("u:grace").traits
    assert traits["plan"] == "pro"
    assert is_erased(traits["email"])


def test_without_a_secret_the_step_is_off_and_says_so_once(store, rules, monkeypatch, caplog):
    monkeypatch.delenv("TIDINGS_SECRET", raising=False)
    step = UpdateProfiles(rules)
    with caplog.at_level(logging.WARNING, "pipeline.secret"):
        for _ in range(3):
            through(step, ("u:ann", identify()))
    assert [one.message.partition(":")[0] for one in caplog.records] == ["no secret"]
    assert store.profile("u:ann").traits["email"] == ADDRESS


def test_the_secret_comes_from_the_environment_unless_an_option_says_another(store, rules, monkeypatch):
    monkeypatch.setenv("TIDINGS_SECRET", SECRET)
    assert secret.resolve("") == SECRET
    through(UpdateProfiles(rules), ("u:ann", identify()))
    assert is_erased(store.profile("u:ann").traits["email"])
    assert secret.resolve("another secret, of an option") == "another secret, of an option"
    options = ["--store=s", "--events_subscription=e", "--events_topic=t", "--sends_topic=s", "--dead_letters_topic=d"]
    assert TidingsOptions([*options, "--secret=abc"]).settings().secret == "abc"
    assert TidingsOptions(options).settings().secret == ""


def erased(who="u:ann", when="10:01"):
    return who, erasure.erased(who, at(when))


def test_an_erasure_passes_in_its_place_and_leaves_nothing_in_the_store(store, rules):
    assert through(UpdateProfiles(rules), erased("u:bob")) == [erased("u:bob")]
    assert store.profile("u:bob") is None
    assert next(activity_of_event(("u:ann", identify()))).label == "identify"
    assert [*activity_of_event(erased())] == []


@pytest.mark.parametrize("bundles", [1, 2])
def test_what_was_sent_before_an_erasure_and_is_read_only_now_goes_with_it(store, rules, bundles):
    """So does an id that joined them, which nobody knew of when the erasure was sent."""
    before = [
        ("u:ann", identify(user_id="ann", anonymous_id="x")),
        ("u:ann", an_event("Consent Given", "10:00", context={"globalPrivacyControl": True})),
    ]
    after = ("u:ann", an_event("Consent Withdrawn", "10:02"))
    if bundles == 2:
        assert through(UpdateProfiles(rules), *before) == before
        assert store.profile("u:ann")
        before = []
    assert through(UpdateProfiles(rules), *before, erased(), after) == [erased(), after]
    assert (store.profile("u:ann"), store.profile("a:x")) == (None, None)
    assert [one.action for one in store.consent("u:ann")] == ["withdrawn"]


def a_receipt(person):
    """Of an erasure at 10:01."""
    return Receipt(
        receipt_id=person, kind="erasure", person_digest=person_digest(person, SECRET), at=at("10:01"), counts={},
        requested_by="operator",
    )  # fmt: skip


def test_of_a_decision_from_before_an_erasure_no_line_is_written(store, rules):
    """It was on its way through the pipeline when the store let go."""

    def line(person, when):
        return Activity(activity_id=f"d-{when}", person=person, at=at(when), kind="decision", label="a-rule")

    store.put_receipt(a_receipt("u:ann"))
    step = WriteActivity(rules, SECRET)
    step.start_bundle()
    for one in (line("u:ann", "10:00"), line("u:ann", "10:02"), line("u:bob", "10:00")):
        step.process(one)
    step.finish_bundle()
    assert [one.at for one in store.activity("u:ann")] == [at("10:02")]
    assert len(store.activity("u:bob")) == 1


def test_what_is_delivered_long_after_an_erasure_that_it_came_before_leaves_nothing_and_goes_nowhere(store, rules):
    """Out of a backlog, or once more: the message about the erasure was here before, in another bundle."""
    for person in ("u:ann", "a:x"):
        store.put_receipt(a_receipt(person))
    late = identify(user_id="ann", anonymous_id="x"), an_event("Consent Given", "10:00", user_id="ann")
    mine = an_event("Viewed", "10:00:30", user_id=None, anonymous_id="x")
    new = identify("10:02", user_id="ann")
    heard = [("u:ann", late[0]), ("a:x", late[0]), ("u:ann", late[1]), ("a:x", mine), ("u:ann", new)]
    passed = through(UpdateProfiles(rules, SECRET), *heard)
    assert [(key, one.received_at) for key, one in passed] == [("u:ann", at("10:02"))]
    assert store.profile("u:ann").first_seen == at("10:02")
    assert (store.consent("u:ann"), store.profile("a:x")) == ([], None)
