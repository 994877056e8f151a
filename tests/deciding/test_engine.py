"""The engine as a whole: several rules at once, faults that disturb nobody, cost that follows the index."""

import msgspec

from tests.people import a_rule, an_engine, an_event, ms
from tidings.deciding.replay import replay
from tidings.deciding.state import PersonState
from tidings.wire.decisions import decode, encode, send_id

EXPENSIVE = a_rule(
    id="expensive",
    trigger={"performed": {"event": "Product Viewed", "where": {"path": "properties.price", "gt": 100}}},
)
ANY_VIEW = a_rule(id="any-view", trigger={"performed": {"event": "Product Viewed"}})


def test_a_number_that_comes_as_text_is_a_fault_of_one_rule_and_disturbs_no_other():
    event = an_event("Product Viewed", "10:00", properties={"price": "120"})
    outcome = an_engine(EXPENSIVE, ANY_VIEW).feed(PersonState("u:ann"), [event], ms("10:00"))
    assert [one.rule_id for one in outcome.decisions] == ["any-view"]
    [fault] = outcome.faults
    assert (fault.rule_id, fault.event) == ("expensive", event)
    assert fault.detail == "properties.price: expected a number, found str"


def test_a_fault_changes_no_state():
    by = a_rule(trigger={"performed": {"event": "V", "times": 2, "within": "1h", "by": "properties.product"}})
    state = PersonState("u:ann")
    outcome = an_engine(by).feed(state, [an_event("V", "10:00", properties={"product": [1]})], ms("10:00"))
    assert "expected a string, number or boolean, found list" in outcome.faults[0].detail
    assert not any(state.trackers.values())


def test_an_event_that_no_rule_names_leaves_nothing_but_its_message_id():
    state = PersonState("u:ann")
    an_engine(EXPENSIVE).feed(state, [an_event("Something Else", "10:00")], ms("10:00"))
    assert state.trackers == {}
    assert len(state.seen) == 1


def test_only_the_rules_that_name_an_event_are_asked():
    rules = [a_rule(id=f"r{n}", trigger={"performed": {"event": f"E{n}"}}) for n in range(500)]
    engine = an_engine(*rules)
    assert len(engine._book.watches(an_event("E7", "10:00"))) == 1
    assert engine._book.watches(an_event("Nobody", "10:00")) == []


def test_one_event_can_begin_and_end_at_once():
    """`Order Completed` ends the old episode and is itself the anchor of the next."""
    rule = a_rule(
        trigger={
            "not_performed": {"after": "Order Completed", "none_of": ["Order Completed", "Review Left"], "within": "1h"}
        }
    )
    events = [an_event("Order Completed", "10:00"), an_event("Order Completed", "10:30")]
    decisions = replay(an_engine(rule), "u:ann", events, ms("23:00")).decisions
    assert [f"{one.due_at:%H:%M}" for one in decisions] == ["11:30"]


def test_a_decision_survives_the_wire():
    [decision] = (
        an_engine(ANY_VIEW)
        .feed(PersonState("u:ann"), [an_event("Product Viewed", "10:00", properties={"name": "Lamp"})], ms("10:00"))
        .decisions
    )
    again = decode(encode(decision))
    assert encode(again) == encode(decision)
    assert again.send_id == decision.send_id


def test_a_send_id_depends_on_every_part_and_on_nothing_else():
    base = ("rule", "v1", "u:ann", "c1", "ep", 0)
    assert send_id(*base) == send_id(*base)
    assert len(send_id(*base)) == 32
    others = [
        ("rule2", *base[1:]),
        ("rule", "v2", *base[2:]),
        (*base[:2], "u:bob", *base[3:]),
        (*base[:3], "c2", *base[4:]),
        (*base[:4], "ep2", 0),
        (*base[:5], 1),
        ("rulev1", "", *base[2:]),
    ]
    assert len({send_id(*one) for one in [base, *others]}) == len(others) + 1


def test_anonymous_and_known_people_are_different_keys():
    assert an_event("X", "10:00").person == "u:ann"
    assert an_event("X", "10:00", anonymous_id="ann").person == "a:ann"


def test_a_number_that_nobody_can_hold_is_a_fault_wherever_it_stands_and_the_other_rules_go_on():
    by_price = a_rule(id="by-price", trigger={"performed": {"event": "V", "where": {"path": "properties.p", "gt": 1}}})
    by_name = a_rule(id="by-name", trigger={"performed": {"event": "V"}}, entry_key="properties.p")
    any_view = a_rule(id="any", trigger={"performed": {"event": "V"}}, quiet_hours={"start": "01:00", "end": "02:00"})
    poison = msgspec.Raw(b'{"p": 1e999}')
    view = msgspec.structs.replace(an_event("V", "10:00"), properties=poison)
    page = msgspec.structs.replace(an_event("Home", "10:00", type="page"), context=poison)
    segments = {"rich": {"performed": {"event": "V", "where": {"path": "properties.p", "gt": 1}}}}
    outcome = replay(an_engine(by_price, by_name, any_view, segments=segments), "u:ann", [view, page], ms("12:00"))
    assert [one.rule_id for one in outcome.decisions] == ["any"]
    assert sorted(one.rule_id for one in outcome.faults) == ["*", "by-name", "by-price", "segment:rich"]


def test_a_part_that_cannot_be_read_takes_nothing_from_what_ends_a_visit():
    rule = a_rule(
        trigger={
            "session_ended": {
                "gap": "15m",
                "having": [{"event": "Ordered", "where": {"path": "properties.total", "gt": 5}, "at_most": 3}],
                "none_of": ["Ordered"],
            }
        }
    )
    engine, state = an_engine(rule), PersonState("u:ann")
    events = [an_event("View", "10:00"), an_event("Ordered", "10:01", properties={"total": "12"})]
    assert len(engine.feed(state, events, ms("10:01")).faults) == 1
    assert engine.wake(state, ms("12:00")).decisions == ()
