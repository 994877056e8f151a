"""The rules of a folder, which belong together."""

import pytest
import yaml

from tests.people import a_rule
from tidings.errors import InvalidRuleError
from tidings.rollout.rule_set import from_folder

RULE = a_rule(id="first", trigger={"performed": "A"})


def folder_of(path, *documents):
    for one in documents:
        (path / f"{one['id']}.yaml").write_text(yaml.safe_dump(one))
    return path


def test_a_shadow_lives_beside_the_rule_that_it_is_compared_with(tmp_path):
    shadow = {**RULE, "id": "again", "status": "shadow", "shadow_of": "first"}
    assert set(from_folder(folder_of(tmp_path, shadow, RULE)).rules) == {"again", "first"}


def test_a_folder_with_the_shadow_of_an_unknown_rule_is_refused(tmp_path):
    shadow = {**RULE, "id": "again", "status": "shadow", "shadow_of": "frist"}
    with pytest.raises(InvalidRuleError, match="shadow_of: there is no such rule; did you mean first"):
        from_folder(folder_of(tmp_path, shadow, RULE))
