"""Documents as YAML: for people, and exactly the same document when it is read again."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawn import rules
from tidings.documents import parse, parse_file
from tidings.rollout.document_text import MODELINE, difference, dump
from tidings.rollout.versions import as_stored, canonical
from tidings.rules.rule import Rule, load

RULES = Path(__file__).parents[2] / "rules"
HOSTILE = [
    "on", "off", "yes", "No", "y", "true", "null", "~", "", " ", "12", "1.0", "1e3", "0x1f", "0o17", "1_000", "21:00",
    "08:00", "1:2:3", "2024-02-29", ".inf", "=", "<<", "- a", "a: b", "a #b", "#", "'", '"', "{", "[", "*a", "&a", "!a",
    "%a", "@a", "`a", "|", ">", "a\nb", "a\nb\n", "a\n\nb", "\na", "a\n\n", " a\nb", "a \nb", "a\n b", "\ta\nb",
    "a\r\nb",
    "a\u2028b\nc", "a\x85b\nc", "a\x85b", "\ufeffa\nb", "\x00", "\x1b[31m\n", "\N{SNOWMAN}\n\N{PILE OF POO}", "x" * 300,
    "word " * 60, "---", "...", "a\n---\nb", "a\n...\n", "? a",
]  # fmt: skip
unusual = st.text(st.characters(exclude_categories=["Cs"])) | st.text("a \n\t:#'\"-\r", max_size=8)
texts = st.sampled_from(HOSTILE) | unusual
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(texts, parts, max_size=3),
    max_leaves=8,
)


@given(rules())
def test_a_rule_that_is_written_down_is_read_as_the_same_rule(rule):
    assert parse(dump(rule, "rule")) == rule
    assert load(parse(dump(rule, "rule"))).version == load(rule).version


@given(st.dictionaries(texts | st.sampled_from(sorted(Rule.model_fields)), values, max_size=4))
def test_whatever_a_document_says_it_says_the_same_when_it_is_read_again(document):
    for kind in ("rule", "segment"):
        assert canonical(parse(dump(document, kind))) == canonical(document)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_stays_a_text_as_a_value_and_as_a_name(text):
    document = {"name": text, "description": f"{text}\n", text: [text, {text: {"deep": text}}]}
    assert parse(dump(document, "rule")) == document


@given(rules(), st.randoms())
def test_the_order_in_which_a_store_gives_the_fields_does_not_matter(rule, random):
    def shuffled(value):
        if isinstance(value, list):
            return [shuffled(one) for one in value]
        if isinstance(value, dict):
            names = random.sample(sorted(value), len(value))
            return {name: shuffled(value[name]) for name in names}
        return value

    assert dump(shuffled(rule), "rule") == dump(rule, "rule")


def test_it_is_written_as_people_write_it():
    document = {
        "send": {"to": "support", "template": "welcome"},
        "trigger": {"segment": {"on": "enter", "id": "customers"}},
        "audience": {"any": [{"equals": "no", "path": "traits.plan"}, {"segment": "engaged"}]},
        "quiet_hours": {"tz": "user", "end": "08:00", "start": "21:00"},
        "description": "Ann asked for it.\nSince May.\n",
        "id": "hello",
    }
    assert (
        dump(document, "rule")
        == """\
id: hello
description: |
  Ann asked for it.
  Since May.
trigger:
  segment:
    id: customers
    on: enter
send:
  template: welcome
  to: support
audience:
  any:
    - path: traits.plan
      equals: "no"
    - segment: engaged
quiet_hours:
  start: "21:00"
  end: "08:00"
  tz: user
"""
    )


def test_a_rule_that_ships_keeps_the_order_in_which_its_author_wrote_it():
    document = parse_file(RULES / "product-viewed-three-times.yaml")
    assert list(parse(dump(document, "rule"))) == list(document)
    assert list(parse(dump(document, "rule"))["trigger"]["performed"]) == ["event", "times", "within", "by"]


def test_a_difference_is_that_of_the_texts():
    old, new = {"id": "a", "priority": 50, "status": "live"}, {"status": "live", "id": "a", "priority": 60}
    assert difference(old, new, "rule", "store", "file") == [
        "--- store", "+++ file", "@@ -1,3 +1,3 @@", " id: a", " status: live", "-priority: 50", "+priority: 60",
    ]  # fmt: skip
    assert difference(old, dict(reversed(old.items())), "rule", "store", "file") == []
    assert difference(None, {"id": "a"}, "rule", "store", "file")[-1] == "+id: a"


def test_a_date_is_written_as_the_store_holds_it():
    assert as_stored(parse("from: 2024-02-29")) == {"from": "2024-02-29"}
    assert dump({"from": "2024-02-29"}, "rule") == 'from: "2024-02-29"\n'


@pytest.mark.parametrize("path", sorted(RULES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_that_ships_tells_editors_its_schema(path):
    schema = (
        f"{path.stem}.schema.json" if path.parent.name == "policy" else "schema.json"
    )  # each of these is its own kind
    assert path.read_text().startswith(MODELINE.replace("schema.json", schema))
    assert (path.parent / schema).exists()
