"""`tidings rules push`: all of the files, or none, and nothing that nobody has seen."""

import pytest
import yaml

from tests.backtest.planted_week import Week
from tests.backtest.test_planted_truth import ONE_MAIL, RULE
from tests.commands.rule_store import BUYERS, CART, SHIPPED, Terminal
from tests.drawn import lines_of
from tidings.rollout.versions import EDITED, FIRST_SEEN

SLOWER = {**CART, "trigger": {"not_performed": {**CART["trigger"]["not_performed"], "within": "30m"}}}


def test_what_is_new_is_shown_put_and_kept_with_its_note(place):
    place.write(CART)
    place.write(BUYERS)
    assert place.type("push --yes --note", "as agreed") == 0
    assert "+id: cart" in place.out
    assert "cart: version " in place.out
    assert "within ten seconds" in place.out
    assert place.rules() == {"cart": CART}
    assert place.segments() == {"buyers": BUYERS}
    assert place.notes() == ["as agreed"]
    assert place.notes("buyers", "segment") == ["as agreed"]


def test_what_is_the_same_is_left_alone(place):
    path = place.write(CART)
    assert place.type("push --yes") == 0
    path.write_text("# a comment\n" + path.read_text())
    assert place.type("push") == 0
    assert "already" in place.out
    assert place.notes() == ["push"]


def test_only_what_differs_is_shown_and_put(place):
    place.write(CART)
    place.write({**CART, "id": "other"})
    place.type("push --yes")
    place.write(SLOWER)
    assert place.type("push", answer="y") == 0
    assert "-    within: 15m" in place.out
    assert "+    within: 30m" in place.out
    assert "other" not in place.out
    assert "Push 1 document? [y/N]" in place.err
    assert place.rules()["cart"] == SLOWER
    assert place.notes() == ["push", "push"]


@pytest.mark.parametrize("answer", ["n", "", "maybe"])
def test_nothing_is_put_unless_the_answer_is_yes(place, answer):
    place.write(CART)
    assert place.type("push", answer=answer) == 1
    assert "Nothing was pushed" in place.out
    assert place.rules() == {}


def test_without_a_terminal_somebody_must_have_said_yes(place):
    place.write(CART)
    assert place.type("push") == 2
    assert "--yes" in place.err
    assert place.rules() == {}


def test_a_closed_standard_input_is_no_terminal_either(place, monkeypatch):
    place.write(CART)
    monkeypatch.setattr("sys.stdin", None)
    assert place.type("push") == 2
    assert "Say --yes" in place.err
    assert place.rules() == {}


def test_a_dry_run_says_whether_there_is_something_to_do(place):
    place.write(CART)
    assert place.type("push --dry-run") == 1
    assert place.rules() == {}
    place.type("push --yes")
    assert place.type("push --dry-run") == 0


def test_one_bad_file_keeps_all_of_them_out_and_every_fault_is_named(place):
    place.write(CART)
    place.write({**CART, "id": "bad", "status": "on", "priority": 101})
    place.write({**CART, "id": "worse", "send": {"template": "cart-abandonned"}})
    assert place.type("push --yes") == 1
    for fault in ("status", "priority", "there is no such template", "2 of 3 documents are refused"):
        assert fault in place.err
    assert place.rules() == {}


@pytest.mark.parametrize("text", ["{", "just words", "[1, 2]", ""])
def test_a_file_that_is_no_rule_at_all_is_refused(place, text):
    (place.folder / "rules" / "x.yaml").write_text(text)
    assert place.type("push rules/x.yaml --yes") == 1
    assert "'x' is refused" in place.err


def test_a_file_that_is_not_there_is_named(place):
    assert place.type("push rules/missing.yaml --yes") == 1
    assert "missing.yaml: there is no such file" in place.err


def test_a_rule_that_cannot_be_compiled_is_refused(place):
    counted = {"gap": "30m", "having": [{"event": "A", "by": 'properties.a"b', "at_least": 1}]}
    place.write({**CART, "trigger": {"session_ended": counted}})
    assert place.type("push --yes") == 1
    assert "cannot be compiled" in place.err


def test_segments_are_put_beside_the_rules_that_name_them(place):
    rule = place.write({**CART, "trigger": {"segment": {"id": "buyers", "on": "enter"}}})
    assert place.type("push", str(rule), "--yes") == 1
    assert "there is no such segment; there are: none" in place.err
    place.write(BUYERS)
    assert place.type("push --yes") == 0
    rule.write_text(rule.read_text() + "name: Again\n")
    assert place.type("push", str(rule), "--yes") == 0, "it is there already"
    place.look()
    assert place.type("list") == 0
    assert "REFUSED" not in place.out


def test_a_segment_in_a_circle_with_one_of_the_store_is_refused(place):
    path = place.write({"id": "buyers", "where": {"segment": "others"}})
    place.use(lambda store: store.put_segment("others", {"where": {"segment": "buyers"}}))
    place.use(lambda store: store.put_segment("buyers", BUYERS))
    assert place.type("push", str(path), "--yes") == 1
    assert "circle" in place.err


def test_a_shadow_may_name_a_rule_of_the_store_or_of_another_file_and_no_other(place):
    shadow = place.write({**CART, "id": "a-shadow", "status": "shadow", "shadow_of": "cart"})
    assert place.type("push --yes") == 1
    assert "shadow_of: there is no such rule" in place.err
    place.write(CART)
    assert place.type("push --yes") == 0
    assert place.out.index("cart: version") < place.out.index("a-shadow: version"), "the one it names goes first"
    shadow.write_text(shadow.read_text() + "name: Again\n")
    assert place.type("push", str(shadow), "--yes") == 0


def test_everything_that_ships_can_be_pushed(place):
    assert place.type("push", str(SHIPPED), "--yes") == 0
    assert place.type("diff", str(SHIPPED)) == 0
    place.look()
    assert place.type("list") == 0
    assert "REFUSED" not in place.out


def test_what_somebody_edited_in_the_store_is_kept_before_it_is_replaced(place):
    """Also when the running system has not seen it, or does not run."""
    place.write(SLOWER)
    place.use(lambda store: store.put_rule("cart", CART))
    assert place.type("push --yes") == 0
    edited = {**CART, "name": "Edited"}
    place.use(lambda store: store.put_rule("cart", edited))
    place.type("push --yes")
    assert place.notes() == ["push", EDITED, "push", FIRST_SEEN]


def test_the_running_system_takes_a_push_for_no_edit(place):
    place.write(CART)
    place.type("push --yes")
    place.look()
    place.look("10:01")
    assert place.notes() == ["push"]


def test_a_store_that_cannot_be_reached_is_worth_another_try(place):
    place.write(CART)
    assert place.type("push --yes --store", "sqlite:/proc/nowhere.db") == 3


def test_a_store_in_no_folder_is_named(place):
    place.write(CART)
    assert place.type("push --yes --store sqlite:elsewhere/store.db") == 1
    assert "there is no folder elsewhere" in place.err


class TestBacktest:
    """What it would have done, before anybody says yes."""

    @pytest.fixture
    def cart(self, place):
        counts = {"mailed, bought anyway": 3, "mailed, never bought": 5, "bought in time": 4}
        (place.folder / "events.jsonl").write_bytes(b"\n".join(lines_of(Week(RULE, counts).events)))
        return {**yaml.safe_load(yaml.safe_dump(ONE_MAIL)), "holdout": 0, "status": "live"}

    def test_a_new_rule_comes_with_its_firings_mails_and_who_bought_anyway(self, place, cart):
        place.write(cart)
        assert place.type("push --events events.jsonl", answer="n") == 1
        said = " ".join(place.out.split())
        assert "fired 8 for 8 people" in said
        assert "mails 8" in said
        assert "did it anyway 3" in said
        assert "compared with" not in said

    def test_a_changed_rule_comes_with_the_difference_to_the_one_that_runs(self, place, cart):
        place.write(cart)
        place.type("push --yes")
        live = place.rules()[cart["id"]]
        cart["trigger"]["not_performed"]["within"] = "20m"
        place.write(cart)
        assert place.type("push --events events.jsonl --dry-run") == 1
        said = " ".join(place.out.split())
        assert "decided the same 0 at another time 8 otherwise 0 more 0 fewer 0 compared with version" in said
        assert place.rules()[cart["id"]] == live

    def test_it_runs_beside_the_segments_that_come_with_it(self, place, cart):
        place.write(BUYERS)
        place.write({**cart, "audience": {"not": {"segment": "buyers"}}})
        assert place.type("push --events events.jsonl --yes") == 0
        assert "fired" in place.out


@pytest.mark.parametrize("command", ["push", "rollback cart"])
def test_what_somebody_edits_while_it_is_asked_is_not_written_over(place, monkeypatch, command):
    place.write(CART)
    place.type("push --yes")
    place.write(SLOWER)
    if command != "push":
        place.type("push --yes")
    edited = {**CART, "name": "Edited at the console"}

    class Slow(Terminal):
        def readline(self, size=-1):
            place.use(lambda store: store.put_rule("cart", edited))
            return "y\n"

    monkeypatch.setattr("sys.stdin", Slow())
    assert place.type(command) == 1
    assert "cart was edited in the store meanwhile" in place.err
    assert place.rules() == {"cart": edited}
