"""`tidings rules history`, `rollback` and `list`: nothing that was ever valid is lost."""

import json

import pytest

from tests.commands.rule_store import BUYERS, CART
from tidings.commands.main import main
from tidings.documents import parse
from tidings.rules import segments
from tidings.rules.rule import load

SECOND = {**CART, "priority": 60}
THIRD = {**CART, "priority": 70}
FIRST_VERSION, SECOND_VERSION, THIRD_VERSION = (load(one).version for one in (CART, SECOND, THIRD))


@pytest.fixture
def pushed(place):
    """Three versions, the last of which is not taken up yet."""
    for document, note in ((CART, "first"), (SECOND, "second"), (THIRD, "third")):
        place.write(document)
        place.type("push --yes --note", note)
        if document is not THIRD:
            place.look()
    return place


def rows(place):
    return [line.split() for line in place.out.splitlines()[1:]]


def test_versions_come_newest_first_with_what_is_live(pushed):
    assert pushed.type("history cart") == 0
    assert [row[0] for row in rows(pushed)] == [THIRD_VERSION, SECOND_VERSION, FIRST_VERSION]
    assert [row[-1] for row in rows(pushed)] == ["third", "second", "first"]
    assert "not taken up yet" in pushed.out.splitlines()[1]
    assert rows(pushed)[1][3] == "live"
    pushed.look()
    pushed.type("history cart")
    assert [row[3] == "live" for row in rows(pushed)] == [True, False, False]


def test_a_version_can_be_shown_by_its_beginning(pushed):
    assert pushed.type("history cart --show", SECOND_VERSION[:4]) == 0
    assert parse(pushed.out) == SECOND


def test_an_unknown_rule_is_answered_with_the_nearest_name(pushed):
    assert pushed.type("history carts") == 1
    assert "did you mean cart?" in pushed.err


def test_an_unknown_version_is_answered_with_what_there_is(pushed):
    for line in ("history cart --show ffffffff", "rollback cart ffffffff --yes"):
        assert pushed.type(line) == 1
        assert f"there are: {THIRD_VERSION}, {SECOND_VERSION}, {FIRST_VERSION}" in pushed.err
    assert pushed.type("rollback cart", FIRST_VERSION[:3]) == 1
    assert "at least 4" in pushed.err


def test_without_a_version_it_goes_back_to_the_one_before_and_twice_is_undone(pushed):
    assert pushed.type("rollback cart", answer="y") == 0
    assert "-priority: 70" in pushed.out
    assert pushed.rules()["cart"] == SECOND
    assert pushed.notes()[0] == f"rollback to {SECOND_VERSION}"
    assert pushed.type("rollback cart --yes --note", "no, after all") == 0
    assert pushed.rules()["cart"] == THIRD
    assert pushed.notes() == ["no, after all", f"rollback to {SECOND_VERSION}", "third", "second", "first"]


def test_it_goes_back_to_any_version(pushed):
    assert pushed.type("rollback cart", FIRST_VERSION[:5], "--yes") == 0
    assert pushed.rules()["cart"] == CART
    assert pushed.type("rollback cart", FIRST_VERSION, "--yes") == 0
    assert "says so already" in pushed.out
    assert len(pushed.notes()) == 4


def test_nobody_is_rolled_back_without_a_yes(pushed):
    assert pushed.type("rollback cart") == 2
    assert pushed.type("rollback cart", answer="no") == 1
    assert pushed.rules()["cart"] == THIRD


def test_a_broken_edit_is_rolled_back_to_what_was_there(pushed):
    pushed.use(lambda store: store.put_rule("cart", {"trigger": 1}))
    pushed.look()
    assert pushed.type("history cart") == 0
    assert "not valid" in pushed.out
    assert pushed.type("rollback cart --yes") == 0
    assert pushed.rules()["cart"] == THIRD


def test_a_deleted_rule_comes_back(pushed):
    pushed.use(lambda store: store.delete_rule("cart"))
    assert pushed.type("history cart") == 0
    assert "deleted" in pushed.out
    assert pushed.type("rollback cart --yes") == 0
    assert pushed.rules()["cart"] == THIRD


def test_what_is_no_longer_valid_does_not_come_back(place):
    place.write(BUYERS)
    path = place.write({**CART, "audience": {"segment": "buyers"}})
    place.type("push --yes")
    place.write(CART)
    place.type("push --yes", str(path))
    place.use(lambda store: store.delete_segment("buyers"))
    assert place.type("rollback cart --yes") == 1
    assert "there is no such segment" in place.err
    assert place.rules()["cart"] == CART


def test_the_only_version_has_none_before_it(place):
    place.write(CART)
    place.type("push --yes")
    assert place.type("rollback cart --yes") == 1
    assert "no version before" in place.err


def test_a_segment_has_a_history_too(place):
    for times in (1, 2):
        place.write({"id": "buyers", "where": {"performed": {"event": "Order Completed", "times": times}}})
        place.type("push --yes")
    assert place.type("history buyers") == 0
    assert len(rows(place)) == 2
    assert place.type("rollback buyers --yes") == 0
    assert place.segments()["buyers"]["where"]["performed"]["times"] == 1


def test_a_list_says_what_the_system_says(place):
    place.write(CART)
    place.write(BUYERS)
    place.write({**CART, "id": "again", "status": "shadow", "shadow_of": "cart"})
    place.type("push --yes")
    assert place.type("list") == 0
    assert place.out.count("not looked at yet") == 3
    place.look()
    place.type("list")
    said = " ".join(place.out.split())
    assert f"cart live {FIRST_VERSION}" in said
    assert "shadow of cart" in said
    assert "segment buyers in force" in said
    place.use(lambda store: store.put_rule("cart", {"trigger": 1, "status": ["odd"]}))
    place.look()
    assert place.type("list") == 0
    assert f"REFUSED, version {FIRST_VERSION} goes on" in place.out
    assert "cart: trigger: needs exactly one kind" in place.out
    place.type("list --json")
    told = {one["id"]: one for one in map(json.loads, place.out.splitlines())}
    assert told["cart"]["valid"] is False
    assert told["again"]["shadow_of"] == "cart"


def test_a_refused_rule_that_never_ran_does_not_run(place):
    place.use(lambda store: store.put_rule("cart", {"trigger": 1}))
    place.look()
    place.type("list")
    assert "REFUSED, it does not run" in place.out


@pytest.mark.parametrize("name", ["list", "push", "pull", "diff", "history", "rollback"])
def test_help_has_an_example_and_tells_the_store(place, name):
    with pytest.raises(SystemExit) as ended:
        place.type(f"{name} --help")
    assert ended.value.code == 0
    assert f"tidings rules {name}" in place.out
    assert "example:" in place.out
    assert "sqlite:.tidings/store.db" in place.out


def test_a_segment_of_the_same_name_as_a_rule_is_named_as_such(place):
    place.use(lambda store: store.put_rule("buyers", {**CART, "id": "buyers"}))
    place.use(lambda store: store.put_segment("buyers", BUYERS))
    place.look()
    assert place.type("history", "segment buyers", "--show", segments.load(BUYERS, "buyers").version) == 0
    assert "where:" in place.out


@pytest.mark.parametrize(
    "line", ["rules list", "rules diff", "rules pull", "rules history cart", "shadow cart", "explain 0123abcd"]
)
def test_a_command_that_only_looks_makes_no_store_of_a_mistyped_name(place, line):
    place.write(CART)
    assert main([*line.split(), "--store", "sqlite:.tidings/stroe.db"]) == 1
    assert not (place.folder / ".tidings" / "stroe.db").exists()
