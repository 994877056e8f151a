"""What a person can opt out of, and how each category wants to be agreed to and watched."""

from pathlib import Path

import pytest

import rules
from tidings.errors import InvalidRuleError
from tidings.permission import categories
from tidings.rollout.rule_set import from_folder

POLICY = Path(rules.__file__).parent / "policy"


def written(folder: Path, text: str) -> categories.Categories:
    (folder / categories.FILE).write_text(text)
    return categories.load(str(folder))


def test_a_category_that_nobody_describes_has_a_name_made_of_its_id_and_the_defaults(tmp_path: Path) -> None:
    known = categories.load(str(tmp_path))
    assert list(known) == []
    category = known["price-drops_daily"]
    assert (category.title, category.double_opt_in, category.tracked) == ("Price drops daily", False, True)
    assert known["marketing"].title == "Marketing"


def test_those_that_are_described_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    known = written(tmp_path, "- {id: news, name: The news}\n- {id: cart, tracked: false}\n")
    assert [one.id for one in known] == ["news", "cart"]
    assert (known["news"].title, known["cart"].title, known["cart"].tracked) == ("The news", "Cart", False)


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("- {id: News}", "[0].id", "pattern"),
        ("- {id: news, double_optin: true}", "[0].double_optin", "there is no such field"),
        ("news: {}", "", "list"),
        ("- {name: News}", "[0].id", "is missing"),
        ("- {id: news}\n- {id: news}", "[1].id", "is given twice"),
    ],
)
def test_every_fault_is_named_by_its_path(tmp_path: Path, text: str, path: str, reason: str) -> None:
    with pytest.raises(InvalidRuleError) as error:
        written(tmp_path, text)
    [fault] = error.value.faults
    assert fault["path"] == path
    assert reason in str(fault["reason"])


def test_the_schema_that_editors_use_is_the_one_of_today() -> None:
    fresh = "run: python -m tidings.permission.categories > rules/policy/categories.schema.json"
    assert (POLICY / "categories.schema.json").read_text() == categories.json_schema(), fresh


def test_the_marketing_rules_that_ship_belong_to_categories_that_are_described() -> None:
    described = {one.id for one in categories.load()}
    used = {rule.category for rule in from_folder(POLICY.parent).rules.values() if rule.kind == "marketing"}
    assert used <= described
