"""The check as a whole: whatever stands in a file, it is looked at, and all that is said has a place and a reason."""

from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.people import a_rule, an_event
from tests.rules.test_rules import json_values
from tidings.checking.catalogue import catalogue
from tidings.checking.check import Source, read
from tidings.checking.observed import Question, observe
from tidings.rules.selectors import Selector

RULES = sorted((Path(__file__).parents[2] / "rules").glob("**/*.yaml"))
CATALOGUE = catalogue()
EVENTS = [an_event("Product Added", "10:00", properties={"name": "Lamp", "price": n, "tags": [n]}) for n in range(3)]


def said_of(data, what=None):
    checked = read([Source("file.yaml", "a-rule", data, what)], CATALOGUE)
    found = checked.findings()
    observed = observe(EVENTS, checked.questions())
    return [*found, *checked.findings(observed)]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.sampled_from([None, "rule", "segment"]))
def test_whatever_bytes_a_file_holds_it_is_looked_at(data, what):
    assert all(one.reason and one.severity == "error" for one in said_of(data, what))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(RULES), st.data())
def test_a_line_that_goes_astray_is_a_fault_a_warning_or_nothing(path, data):
    """A line is lost, said twice, or moved: what people do to files."""
    lines = path.read_text().splitlines(keepends=True)
    here, there = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.integers(0, len(lines) - 1))
    line = lines[here] if data.draw(st.booleans()) else lines.pop(here)
    lines.insert(there, line)
    for one in said_of("".join(lines).encode(), "segment" if "segments" in path.parts else "rule"):
        assert one.reason
        assert one.line is None or 0 < one.line <= len(lines)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["audience", "exit_on", "steps", "trigger", "send", "where"]), json_values, max_size=3
    )
)
def test_whatever_a_document_holds_it_is_looked_at(changes):
    document = {**a_rule(trigger={"performed": {"event": "A"}}), **changes}
    assert all(one.reason for one in said_of(yaml.safe_dump(document).encode()))


def test_what_was_observed_is_counted_by_selector_and_what_cannot_be_read_is_left_out():
    dear = Selector.model_validate({"event": "Product Added", "where": {"path": "properties.price", "gte": 1}})
    odd = Selector.model_validate({"event": "Product Added", "where": {"path": "properties.name", "gt": 1}})
    anything = Selector.model_validate({"type": "track"})
    asked = [Question(one, path) for one in (dear, odd, anything) for path in ("properties.name", "properties.coupon")]
    observed = observe(EVENTS, asked)
    answers = {(one.events, one.missing) for one in map(observed.answer, asked[:2])}
    assert answers == {(2, 0), (2, 2)}
    assert observed.answer(asked[2]).events == 0
    assert str(observed.answer(asked[5])) == "100 % of 3"
