"""The bounded form, from a file to files, through the real `main()`."""

import json
from pathlib import Path

import pytest

from pipeline.main import main
from pipeline.options import OptionsError
from tests.people import an_event, ms
from tidings.deciding.engine import Engine
from tidings.deciding.identity import resolve
from tidings.deciding.replay import replay
from tidings.errors import InvalidRuleError
from tidings.rollout import rule_set
from tidings.wire import events

RULES = Path(__file__).parents[2] / "rules"


def run(tmp_path, lines, *more):
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    out = str(tmp_path / "out")
    arguments = ["--runner=FnApiRunner", f"--input={tmp_path}/events.jsonl", f"--output={out}", f"--rules={RULES}"]
    main([*arguments, *more])
    return [
        sorted((json.loads(line) for line in Path(f"{out}-{name}.jsonl").read_text().splitlines()), key=repr)
        for name in ("decisions", "dead-letters")
    ]


def test_a_file_of_events_becomes_a_file_of_decisions_and_one_of_dead_letters(tmp_path):
    """Lines are shuffled, repeated and partly broken; two people; every rule that ships."""
    views = [
        an_event("Product Viewed", f"10:0{minute}", message_id=f"v{minute}", properties={"product_id": "lamp"})
        for minute in range(3)
    ]
    cart = an_event("Product Added", "10:05", message_id="c", properties={"cart_id": "c1", "name": "Lamp"})
    kept = an_event("Product Added", "10:05", message_id="d", user_id="bob", properties={"cart_id": "c2"})
    order = an_event("Order Completed", "10:09", message_id="o", user_id="bob", properties={"cart_id": "c2"})
    welcome = an_event("Signed Up", "09:59", message_id="s")
    history = [order, views[2], cart, views[0], kept, views[1], welcome, views[0]]
    lines = [events.encode(one) for one in history]
    decided, dead = run(tmp_path, [*lines, b"no event", b'{"messageId":"x"}'], "--until=2025-03-04")
    assert sorted((one["ruleId"], one["person"], one["dueAt"], one["evidence"]) for one in decided) == [
        ("cart-abandoned", "u:ann", "2025-03-03T10:20:00Z", ["c"]),
        ("product-viewed-three-times", "u:ann", "2025-03-03T10:02:00Z", ["v0", "v1", "v2"]),
        ("welcome", "u:ann", "2025-03-03T09:59:00Z", ["s"]),
    ]
    assert sorted(one["reason"] for one in dead) == ["not_an_event", "unreadable"]


def test_the_same_file_gives_the_same_bytes_whatever_the_order_of_its_lines(tmp_path):
    lines = [
        events.encode(an_event("Product Added", f"10:0{minute}", properties={"cart_id": "c1"})) for minute in range(5)
    ]
    assert run(tmp_path, lines, "--until=2025-03-04") == run(tmp_path, lines[::-1], "--until=2025-03-04")


def test_a_folder_of_rules_may_hold_segments(tmp_path):
    folder = tmp_path / "rules"
    (folder / "segments").mkdir(parents=True)
    (folder / "segments" / "fans.yaml").write_text("where: {performed: {event: View, times: 2, within: 1h}}")
    rule = "{status: live, trigger: {segment: {id: fans, on: leave}}, send: {template: welcome}}"
    (folder / "bye.yaml").write_text(rule)
    lines = [events.encode(an_event("View", when)) for when in ("10:00", "10:10")]
    decided, _ = run(tmp_path, lines, f"--rules={folder}", "--until=2025-03-04")
    assert [(one["ruleId"], one["dueAt"]) for one in decided] == [("bye", "2025-03-03T11:00:00Z")]


def test_a_rule_of_a_folder_that_names_a_missing_segment_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "bye.yaml").write_text("{trigger: {segment: {id: fans, on: leave}}, send: {template: welcome}}")
    with pytest.raises(InvalidRuleError, match="there is no such segment"):
        rule_set.from_folder(tmp_path)
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "fans.yaml").write_text("where: {segment: fans}")
    with pytest.raises(InvalidRuleError, match="segment 'fans' is refused"):
        rule_set.from_folder(tmp_path)


def test_what_was_done_anonymously_is_decided_as_the_live_form_does(tmp_path):
    """The file is resolved before people are grouped: to the send id, it gives what following step by step gives."""
    x = {"anonymous_id": "x"}
    lamp, rug = ({"properties": {"product_id": product}} for product in ("lamp", "rug"))
    history = [
        an_event("Product Viewed", "10:00", **lamp, **x),
        an_event("Product Viewed", "10:01", **lamp, **x),
        an_event("Product Added", "10:02", properties={"cart_id": "c1"}, **x),
        *(an_event("Product Viewed", f"10:0{minute}", **rug, anonymous_id="nobody") for minute in range(3)),
        an_event("", "10:05", type="identify", user_id="ann", anonymous_id="x"),
        an_event("Product Viewed", "10:06", **lamp),
        an_event("Product Added", "10:07", properties={"cart_id": "c1"}, **x),
        an_event("", "10:30", type="identify", user_id="bob", anonymous_id="x"),
        an_event("Product Added", "10:31", properties={"cart_id": "c2"}, **x),
    ]
    decided, dead = run(tmp_path, [events.encode(one) for one in history[::-1]], "--until=2025-03-03T11:00")
    assert dead == []
    assert sorted((one["ruleId"], one["person"], one["dueAt"][11:16]) for one in decided) == [
        ("cart-abandoned", "u:ann", "10:22"),
        ("cart-abandoned", "u:bob", "10:46"),
        ("product-viewed-three-times", "a:nobody", "10:02"),
        ("product-viewed-three-times", "u:ann", "10:06"),
    ]
    engine = Engine(rule_set.from_folder(RULES).book())
    wanted = [
        decision.send_id
        for person, its in resolve(history).items()
        for decision in replay(engine, person, its, ms("11:00")).decisions
    ]
    assert sorted(one["sendId"] for one in decided) == sorted(wanted)


def test_deadlines_after_the_end_of_the_history_are_not_decided(tmp_path):
    lines = [events.encode(an_event("Product Added", "10:00", properties={"cart_id": "c1"}))]
    assert run(tmp_path, lines, "--until=2025-03-03T10:15:00Z")[0] == []
    assert len(run(tmp_path, lines, "--until=2025-03-03T10:15:01Z")[0]) == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "--input"),
        (["--input=x"], "--output"),
        (["--input=x", "--output=y"], "--store or"),
        (["--events_subscription=s"], "--sends_topic"),
        (["--input=x", "--output=y", "--rules=r", "--until=yesterday"], "--until"),
        (["--input=x", "--output=y", "--rules=r", "--time_scale=0"], "--time_scale"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_a_reason(arguments, reason):
    with pytest.raises(OptionsError, match=reason):
        main(arguments)
