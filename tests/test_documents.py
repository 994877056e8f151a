"""Documents as files: what is no YAML, what names a field twice, and where in a file a path is."""

import pytest
import yaml

from tidings import documents
from tidings.checking.lines import lines
from tidings.errors import InvalidRuleError
from tidings.rules.rule import load


def faults(data):
    with pytest.raises(InvalidRuleError) as refused:
        documents.parse_bytes(data.encode() if isinstance(data, str) else data, "a-rule")
    return [(fault["path"], fault["reason"]) for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("id: x\ntrigger:\n\tperformed: X\n", "is no YAML: line 3: a tab; indent with spaces"),
        ("name: caf\u00e9\n".encode("latin-1"), "is no UTF-8: line 1; save the file as UTF-8"),
        ("id: x\n".encode("utf-16"), "is no UTF-8: line 1; save the file as UTF-8"),
        ("id: x\nname: a\x00b\n", "is no YAML: line 2: the character U+0000 is not allowed"),
        ("id: x\nname: !!timestamp 2026-02-31\n", "is no YAML: day is out of range for month"),
        ("id: [x\n", "is no YAML: line 2: expected ',' or ']', but got '<stream end>'"),
        ("[" * 3000, "is nested too deeply"),
        ("id: x\n---\nid: y\n", "is no YAML: line 2: but found another document"),
        ("id: x\na: &a\n  - *a\n", "is no YAML: line 2: a value that holds itself"),
        ("id: x\ntrue: y\n", "is no YAML: line 2: the name true must be text; put it in quotes"),
        ("id: x\n~: y\n", "is no YAML: line 2: the name ~ must be text; put it in quotes"),
        ('id: x\nname: "\\ud83c"\n', "is no YAML: line 2: half a character (a lone surrogate)"),
    ],
)
def test_a_file_that_is_no_yaml_is_refused_with_the_line(data, reason):
    assert faults(data) == [("", reason)]


def test_a_fault_of_the_whole_file_is_told_without_a_path():
    with pytest.raises(InvalidRuleError, match="'a-rule' is refused: is no YAML: line 1"):
        documents.parse_bytes(b"[", "a-rule")


def test_aliases_of_aliases_that_mean_billions_of_values_are_refused_before_they_are_written_out():
    bomb = "".join(f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 20))
    [(path, reason)] = faults(f"a0: &a0 x\n{bomb}")
    assert (path, "more than 100,000 values, with aliases written out" in reason) == ("", True)


def test_a_date_is_text_as_it_is_in_a_store():
    assert documents.parse("on: 2026-02-28\nat: 2026-02-28T10:00:00Z\n") == {
        "on": "2026-02-28",
        "at": "2026-02-28T10:00:00Z",
    }


def test_every_field_that_is_given_twice_is_named_with_both_lines():
    text = "id: x\nsend: a\ntrigger:\n  performed: {event: A, event: B}\nsend: b\n"
    assert faults(text) == [
        ("trigger.performed.event", "line 4: is given twice; it stands in line 4 already"),
        ("send", "line 5: is given twice; it stands in line 2 already"),
    ]


def test_what_yaml_merges_may_be_given_again():
    text = "base: &base {a: 1, b: 2}\nmine: {<<: *base, a: 3}\nagain: *base\n"
    assert documents.parse(text) == {"base": {"a": 1, "b": 2}, "mine": {"a": 3, "b": 2}, "again": {"a": 1, "b": 2}}


def test_a_repeated_field_is_a_fault_of_yaml_to_whoever_reads_text():
    with pytest.raises(yaml.YAMLError, match="line 2: a is given twice"):
        documents.parse("a: 1\na: 2\n")


def test_a_document_that_is_empty_or_a_list_is_refused():
    for document, reason in ((None, "must be a mapping, and is empty"), (["a"], "must be a mapping")):
        with pytest.raises(InvalidRuleError) as refused:
            load(document, "a-rule")
        assert refused.value.faults[0]["reason"] == reason


@pytest.mark.parametrize(
    ("document", "path", "question"),
    [
        ({"triger": {}}, "triger", "did you mean trigger?"),
        ({"trigger": {"performed": {"event": "A", "witin": "1h"}}}, "trigger.performed.witin", "did you mean within?"),
        ({"exit_on": [{"evnt": "A"}]}, "exit_on[0].evnt", "did you mean event?"),
        ({"re_entry": {"aftr": "1h"}}, "re_entry.aftr", "did you mean after?"),
        ({"steps": [{"sned": "a"}]}, "steps[0].sned", "did you mean send?"),
        ({"audience": {"path": "traits.a", "equal": 1}}, "audience.equal", "did you mean equals?"),
        ({"audience": {"not": {"path": "traits.a", "exist": True}}}, "audience.not.exist", "did you mean exists?"),
        ({"status": "lve"}, "status", "did you mean live?"),
    ],
)
def test_an_unknown_field_or_word_is_answered_with_the_nearest_known(document, path, question):
    with pytest.raises(InvalidRuleError) as refused:
        load({"id": "a", **document}, "a")
    [reason] = [fault["reason"] for fault in refused.value.faults if fault["path"] == path]
    assert reason.endswith(question)


def test_unknown_templates_and_segments_are_answered_with_the_nearest_and_all():
    document = {"id": "a", "trigger": {"performed": "A"}, "audience": {"segment": "custmers"}}
    steps = {"steps": [{"send": "wellcome"}, {"wait": "1h"}, {"send": {"template": "other"}}]}
    document["trigger"] = {"performed": {"event": "A"}}
    with pytest.raises(InvalidRuleError) as refused:
        load({**document, **steps}, "a", {"welcome", "cart"}, {"customers"})
    assert {fault["path"]: fault["reason"] for fault in refused.value.faults} == {
        "steps[0].send.template": "there is no such template; did you mean welcome? There are: cart, welcome",
        "steps[2].send.template": "there is no such template; there are: cart, welcome",
        "audience.segment": "there is no such segment; did you mean customers? There are: customers",
    }


TEXT = """# a comment
id: x
trigger:
  performed:
    event: A
    where:
      - {path: properties.a, equals: 1}
      - path: properties.b
        gt: 5
exit_on: [B,
          C]
steps:
  - send: welcome
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("id", 2),
        ("trigger.performed.event", 5),
        ("trigger.performed.where.all[1].gt", 9),
        ("trigger.performed.where[0].path", 7),
        ("trigger.performed.within", 4),
        ("exit_on[1].event", 11),
        ("steps[0].send.template", 13),
        ("nowhere", None),
    ],
)
def test_a_path_is_found_in_the_file_also_where_it_says_the_same_more_shortly(path, line):
    assert lines(TEXT).of(path) == line


def test_a_file_that_is_no_yaml_has_no_lines():
    assert lines("a: [").of("a") is None
    assert lines("").of("a") is None
