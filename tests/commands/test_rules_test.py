"""`tidings rules test`: which stories end as they must, and what is said of those that do not."""

import json
from pathlib import Path

import pytest
import yaml

from tests.people import a_rule
from tidings.commands.main import main

ROOT = Path(__file__).parents[2]
CART = {
    "story": "A cart left alone brings a mail.",
    "given": [{"at": "10:00", "who": "ann", "did": "Product Added", "with": {"cart_id": "c1"}}],
    "until": "1h",
    "expect": [{"who": "ann", "due": "10:15", "key": "c1"}],
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder with one rule, about carts, and a folder for its stories."""
    (tmp_path / "stories").mkdir()
    trigger = {"not_performed": {"after": "Product Added", "none_of": ["Order Completed"], "within": "15m"}}
    cart = a_rule(id="cart", trigger=trigger, entry_key="properties.cart_id", status="draft")
    (tmp_path / "cart.yaml").write_text(yaml.safe_dump(cart))
    return tmp_path


def tell(rules: Path, *stories: dict[str, object], name: str = "cart") -> None:
    (rules / "stories" / f"{name}.yaml").write_text(yaml.safe_dump(list(stories)))


def test_every_rule_that_ships_has_stories_and_they_end_as_they_must(capsys):
    code = main(["rules", "test", "--rules", str(ROOT / "rules"), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert [one for one in answer["stories"] if not one["good"]] == []
    assert answer["rules_without_a_story"] == []
    assert code == 0


def test_a_rule_is_tested_before_it_goes_live(rules, capsys):
    tell(rules, CART)
    assert main(["rules", "test", "--rules", str(rules)]) == 0
    assert "1 story, all as expected" in capsys.readouterr().out


def test_a_story_that_ends_otherwise_says_what_is_missing_and_what_came_instead(rules, capsys):
    tell(rules, {**CART, "until": "2d", "expect": [{"who": "ann", "due": "+1d 10:15", "key": "c1"}]})
    assert main(["rules", "test", "--rules", str(rules)]) == 1
    told = capsys.readouterr().out
    assert "FAIL  cart: A cart left alone brings a mail." in told
    assert "  ann\n" in told
    assert "expected, and did not come:  +1d 10:15  cart: welcome for c1, send" in told
    assert "came, and was not expected:  10:15  cart: welcome for c1, send" in told


def test_it_says_which_gate_has_stopped_a_mail(rules, capsys):
    again = {"at": "12:00", "who": "ann", "did": "Product Added", "with": {"cart_id": "c2"}}
    expect = [*CART["expect"], {"who": "ann", "due": "12:15", "key": "c2"}]
    tell(rules, {**CART, "given": [*CART["given"], again], "expect": expect})
    assert main(["rules", "test", "--rules", str(rules)]) == 1
    assert "cart was stopped by frequency cap (1 of 1 in 16h)" in capsys.readouterr().out


def test_it_says_who_is_outside_of_an_audience(rules, capsys):
    cart = yaml.safe_load((rules / "cart.yaml").read_text())
    cart["audience"] = {"path": "traits.plan", "equals": "free"}
    (rules / "cart.yaml").write_text(yaml.safe_dump(cart))
    tell(rules, {**CART, "people": {"ann": {"traits": {"plan": "pro"}}}})
    assert main(["rules", "test", "--rules", str(rules)]) == 1
    assert "cart fired, and its audience is not about this person" in capsys.readouterr().out
    tell(rules, {**CART, "people": {"ann": {"traits": {"plan": "free"}}}})
    assert main(["rules", "test", "--rules", str(rules)]) == 0


def test_what_only_the_mailer_decides_counts_as_sent(rules):
    tell(rules, {**CART, "expect": [{**CART["expect"][0], "ends": "no_consent"}]})
    assert main(["rules", "test", "--rules", str(rules)]) == 0


def test_rules_without_a_story_are_named(rules, capsys):
    tell(rules, CART)
    (rules / "hello.yaml").write_text(yaml.safe_dump(a_rule(id="hello", trigger={"performed": {"event": "Signed Up"}})))
    assert main(["rules", "test", "--rules", str(rules)]) == 0
    assert "rules without a story: hello" in capsys.readouterr().out


def test_no_stories_is_not_all_is_well(rules, capsys):
    assert main(["rules", "test", "--rules", str(rules)]) == 1
    assert "no stories in" in capsys.readouterr().err
    tell(rules, CART)
    assert main(["rules", "test", "--rules", str(rules), "-k", "wishlist"]) == 1
    assert "no stories in" in capsys.readouterr().err


def test_a_text_chooses_among_stories(rules, capsys):
    tell(rules, CART, {**CART, "story": "Another story.", "expect": []})
    assert main(["rules", "test", "--rules", str(rules), "-k", "left alone"]) == 0
    assert main(["rules", "test", "--rules", str(rules), "-k", "another"]) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"until": "soon"}, 'until: must be a time in quotes, such as "10:15"'),
        ({"until": "09:00"}, "until 09:00 lies before the last event"),
        ({"rules": ["carts"]}, "rules: there is no such rule; did you mean cart?"),
        ({"given": [{"at": 600, "who": "ann", "did": "A"}]}, "given[0].at: must be a time in quotes"),
        ({"given": [{"at": "10:00", "who": "ann"}]}, "given[0]: needs exactly one of did, page"),
        ({"given": [{"at": "10:00", "did": "A"}]}, "given[0]: needs who or anonymous"),
        ({"given": [{"at": "10:00", "who": "ann", "dod": "A"}]}, "given[0].dod: there is no such field"),
        ({"expect": [{"who": "ann", "due": "10:15", "sends": ["welcom"]}]}, "did you mean welcome?"),
        ({"expect": [{"who": "ann", "due": "10:15", "ends": "never"}]}, "expect[0].ends"),
        ({"expect": None}, "expect: is missing"),
    ],
)
def test_a_mistake_is_named_by_its_place(rules, capsys, change, said):
    tell(rules, CART, {**CART, **change})
    assert main(["rules", "test", "--rules", str(rules)]) == 1
    told = capsys.readouterr().err
    assert "story 'cart' is refused: [1]" in told
    assert said in told
