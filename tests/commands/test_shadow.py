"""`tidings shadow`: what it decides differently, in a table or as JSON."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.commands.rule_store import CART
from tests.sends import a_decision
from tidings.commands.main import main
from tidings.rules.rule import load


@pytest.fixture
def shadowed(place, capsys):
    """A rule, its shadow, and what both have decided in the last hours."""
    now = datetime.now(UTC)
    again = {**CART, "id": "again", "status": "shadow", "shadow_of": "cart"}
    for rule in (CART, again, {**CART, "id": "alone", "status": "shadow"}):
        place.use(lambda store, rule=rule: store.put_rule(rule["id"], rule))
    decided = [
        ("cart", "u:same", 60, {}),
        ("again", "u:same", 60, {}),
        ("cart", "u:moved", 60, {}),
        ("again", "u:moved", 45, {}),
        ("cart", "u:changed", 30, {}),
        ("again", "u:changed", 30, {"outcome": "suppressed", "reason": "quiet_hours_missed"}),
        ("cart", "u:removed", 20, {}),
        ("again", "u:added", 20 * 24 * 60, {}),
    ]
    for rule, person, minutes, fields in decided:
        when = now - timedelta(minutes=minutes)
        names = {"rule_id": rule, "send_id": f"{rule} {person}", "due_at": when, "decided_at": when}
        names["rule_version"] = load({**CART, "id": rule}).version
        outcome = {"outcome": "send" if rule == "cart" else "shadow"}
        decision = a_decision(person, **names, **{**outcome, **fields})
        place.use(lambda store, one=decision, at=when: store.claim(one, at, timedelta(minutes=1)))
    capsys.readouterr()
    return place


def words(capsys):
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_it_tells_how_many_of_each_with_examples(shadowed, capsys):
    assert main(["shadow", "again"]) == 0
    said = words(capsys)
    assert said[0].startswith("again, compared with cart, ")
    for line in (
        "the same 1",
        "moved in time 1",
        "with another ending 1",
        "only by the shadow 0",
        "only by the live rule 1",
    ):
        assert line in said
    [moved] = [line for line in said if line.startswith("u:moved")]
    assert moved.endswith("15m later")
    [changed] = [line for line in said if line.startswith("u:changed")]
    assert changed.endswith("send -> quiet_hours_missed")


def test_it_looks_back_as_far_as_it_is_told(shadowed, capsys):
    main(["shadow", "again", "--since", "30d"])
    assert "only by the shadow 1" in words(capsys)
    main(["shadow", "again", "--since", "25m"])
    said = words(capsys)
    assert "only by the live rule 1" in said
    assert "the same 0" in said


def test_json_is_for_machines(shadowed, capsys):
    assert main(["shadow", "again", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["shadow"], told["compared_with"], told["same"], told["moved"]) == ("again", "cart", 1, 1)
    assert {one["person"]: one["change"] for one in told["differences"]} == {
        "u:moved": "moved",
        "u:changed": "changed",
        "u:removed": "removed",
    }
    assert next(one["moved_seconds"] for one in told["differences"] if one["change"] == "moved") == 900


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["agian"], "agian: there is no such rule; did you mean again?"),
        (["cart"], "cart is no shadow: its status is live"),
        (["alone"], "give it shadow_of, or say --with LIVE"),
        (["again", "--with", "crat"], "crat: there is no such rule; did you mean cart?"),
        (["again", "--since", "a week"], "--since a week"),
    ],
)
def test_each_mistake_has_an_answer(shadowed, capsys, arguments, answer):
    assert main(["shadow", *arguments]) == (2 if "--since" in arguments else 1)
    assert answer in capsys.readouterr().err


def test_any_rule_can_be_named_to_compare_with(shadowed, capsys):
    assert main(["shadow", "alone", "--with", "cart"]) == 0
    assert "only by the live rule 4" in words(capsys)


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["shadow", "--help"])
    assert ended.value.code == 0
    assert "example:" in capsys.readouterr().out
