"""Laws of consent: whatever is said, in whatever order it arrives, under whichever id."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deciding.anonymous import identified
from tests.lived import live
from tests.people import a_rule, an_engine, an_event, at, ms
from tidings.adapters.sqlite_store import SqliteStore
from tidings.deciding import state as states
from tidings.deciding.identity import resolve
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.permission import consent
from tidings.permission.consent import permission
from tidings.wire.events import instant, millis

CATEGORIES = ("marketing", "news", "offers")
RULES = [
    a_rule(
        id=category,
        trigger={"performed": {"event": "Hello"}},
        category=category,
        frequency_cap="off",
        steps=[{"send": "one"}, {"wait": "2h"}, {"send": "two"}],
    )
    for category in CATEGORIES
]
ENGINE = an_engine(*RULES)
HELLO = an_event("Hello", "10:00", message_id="hello")


@st.composite
def words(draw, most=12):
    """What ann says within an hour of the morning; much of it at the same minute, or nearly."""
    said = []
    for number in range(draw(st.integers(0, most))):
        category = draw(st.sampled_from([*CATEGORIES, None]))
        when = instant(ms("08:00") + draw(st.integers(0, 6)) * 600_000)
        when += timedelta(microseconds=draw(st.sampled_from([0, 0, 1, 999, 1000, 1001])))
        fields = {"properties": {"category": category}, "message_id": f"m{number}"}
        said.append(an_event(draw(st.sampled_from(sorted(consent.NAMES))), when, **fields))
    return said


def heard(said, order):
    """The same words, received in this order before ten."""
    received = [instant(ms("09:30") + place) for place in range(len(said))]
    return [
        states.msgspec.structs.replace(said[one], received_at=when) for one, when in zip(order, received, strict=True)
    ]


def decided(events):
    found = [one for who, its in resolve(events).items() for one in replay(ENGINE, who, its, ms("+2d 00:00")).decisions]
    return sorted(found, key=lambda one: (one.rule_id, one.step))


@settings(max_examples=300, deadline=None)
@given(words(), st.data())
def test_the_order_in_which_words_arrive_changes_nothing_that_is_decided_later(said, data):
    """To the last byte: endings, gates, and what the gates say."""
    in_order = decided([*heard(said, range(len(said))), HELLO])
    shuffled = decided([*heard(said, data.draw(st.permutations(range(len(said))))), HELLO])
    assert in_order == shuffled
    assert len(in_order) == 2 * len(RULES)


@settings(max_examples=300, deadline=None)
@given(words())
def test_the_engine_says_opted_out_exactly_when_the_mailer_would(said):
    """Both hear the same words here. What the mailer refuses besides, `no_consent`, the engine lets pass."""
    records = [record for event in said for record in consent.from_event(event)]
    for decision in decided([*heard(said, range(len(said))), HELLO]):
        refused = permission("marketing", decision.category, records) == "opted_out"
        assert (decision.reason == "opted_out") == refused


@settings(max_examples=300, deadline=None)
@given(words(), st.data())
def test_whichever_id_the_words_were_said_under_they_are_the_persons_after_the_join(said, data):
    """Some of them anonymously, before it."""
    in_order = heard(said, range(len(said)))
    apart = [
        states.msgspec.structs.replace(one, user_id=None, anonymous_id="x") if data.draw(st.booleans()) else one
        for one in in_order
    ]
    joined = decided([*apart, identified("09:45", message_id="i"), HELLO])
    assert joined == decided([*in_order, identified("09:45", message_id="i"), HELLO])


class Witness(SqliteStore):
    """Asks, of every decision, what the mailer would have said at that moment."""

    def __init__(self):
        super().__init__(":memory:")
        self.heard = []

    def claim(self, decision, now, lease):
        """See `Store`."""
        refused = permission("marketing", decision.category, self.consent(decision.person))
        self.heard.append((decision.reason == "opted_out", refused == "opted_out"))
        return super().claim(decision, now, lease)


@settings(max_examples=300, deadline=None)
@given(words(), st.data())
def test_the_store_has_heard_what_the_engine_has_heard_whoever_said_it(said, data):
    """Ann, an anonymous id before or after it joins her, or Bob, who uses the same computer; some of it late."""
    who = [{"user_id": "ann"}, {"user_id": "bob"}, {"user_id": None, "anonymous_id": "x"}]
    said = [states.msgspec.structs.replace(one, **data.draw(st.sampled_from(who))) for one in said]
    joins = [identified(f"08:{data.draw(st.integers(0, 59)):02}", who, message_id=who) for who in ("ann", "bob")]
    hellos = [an_event("Hello", f"08:{minute:02}:30", user_id="ann", message_id=f"h{minute}") for minute in (5, 25, 55)]
    late = timedelta(minutes=data.draw(st.integers(0, 20)))
    received = [
        states.msgspec.structs.replace(one, received_at=one.received_at + late + timedelta(milliseconds=place))
        for place, one in enumerate(said)
    ]
    store = Witness()
    events = sorted([*received, *joins, *hellos], key=lambda one: (one.received_at, one.message_id))
    live(store, ENGINE, events, ms("+2d 00:00"), lambda _: None)
    assert store.heard
    assert [engine for engine, _ in store.heard] == [mailer for _, mailer in store.heard]
    store.close()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([f"c{one}" for one in range(40)] + ["marketing"]), st.integers(0, 9), st.booleans()),
        max_size=120,
    ),
    st.data(),
)
def test_what_is_remembered_of_too_many_categories_does_not_depend_on_the_order_either(said, data):
    one, other = PersonState("u:ann"), PersonState("u:ann")
    for state, order in ((one, said), (other, data.draw(st.permutations(said)))):
        for category, when, is_no in order:
            state.learn_consent(category, (when, is_no))
    assert one.consent == other.consent


@settings(max_examples=200, deadline=None)
@given(words(), st.data())
def test_words_that_come_twice_count_once(said, data):
    repeats = data.draw(st.lists(st.sampled_from(said), max_size=5)) if said else []
    events = heard(said, range(len(said)))
    again = [states.msgspec.structs.replace(one, received_at=at("09:50")) for one in repeats]
    assert decided([*events, HELLO]) == decided([*events, *again, HELLO])
    assert millis(HELLO.received_at) > ms("09:50")
