"""`tidings rules check`: what it says of files, and how it ends."""

import gzip
import json
from pathlib import Path

import pytest

from tidings.commands.main import main

ROOT = Path(__file__).parents[2]
GOOD = """id: {id}
status: live
category: cart
trigger: {{performed: {{event: Product Added}}}}
send: welcome-back
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, with rules and templates in it, to be in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules" / "segments").mkdir(parents=True)
    a_template(tmp_path, "welcome-back", "Hello")
    return tmp_path


def a_template(here, name, body, example=None):
    folder = here / "templates" / name
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("Hello")
    (folder / "body.html").write_text(body)
    if example is not None:
        (folder / "example.json").write_text(json.dumps(example))


def a_rule(here, name="a-rule", text=GOOD, template="welcome-back", **replaced):
    text = text.format(id=name) if text is GOOD else text
    text = text.replace("send: welcome-back", f"send: {{template: {template}}}")
    for old, new in replaced.items():
        text = text.replace(old, new)
    (here / "rules" / f"{name}.yaml").write_text(text)


def events(here, *lines, name="events.jsonl"):
    whole = [
        {"messageId": f"m{number}", "userId": "ann", "type": "track", "timestamp": "2025-03-03T10:00:00Z", **line}
        for number, line in enumerate(lines)
    ]
    text = "\n".join(json.dumps({**one, "receivedAt": one["timestamp"]}) for one in whole)
    if name.endswith(".gz"):
        (here / name).write_bytes(gzip.compress(text.encode()))
    else:
        (here / name).write_text(text)


def check(capsys, *arguments):
    """Exit code, and the lines on standard output."""
    code = main(["rules", "check", "--templates", "templates", *arguments])
    return code, capsys.readouterr().out.splitlines()


def test_the_rules_that_ship_give_no_cause_for_remarks(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["rules", "check", "--strict"]) == 0
    assert capsys.readouterr().out == "17 files: 0 errors, 0 warnings\n"


def test_a_good_rule_is_good(here, capsys):
    a_rule(here)
    assert check(capsys) == (0, ["1 file: 0 errors, 0 warnings"])


def test_a_fault_is_told_like_a_compiler_does_with_file_line_path_value_and_what_would_be_right(here, capsys):
    a_rule(here, text=GOOD.format(id="a-rule").replace("{event: Product Added}", "{event: X, times: 2, within: 5 min}"))
    code, [line, summary] = check(capsys)
    assert code == 1
    assert line.startswith('rules/a-rule.yaml:4: error trigger.performed.within: "5 min" - must be a duration such as')
    assert summary == "1 file: 1 error, 0 warnings"


def test_every_file_is_looked_at_whatever_is_wrong_with_the_first(here, capsys):
    (here / "rules" / "a-tab.yaml").write_text("id: a-tab\ntrigger:\n\tperformed: X\n")
    (here / "rules" / "b-latin.yaml").write_bytes("name: caf\u00e9".encode("latin-1"))
    (here / "rules" / "c-empty.yaml").write_text("")
    (here / "rules" / "d-list.yaml").write_text("- a\n- b\n")
    a_rule(here, "e-twice", GOOD.format(id="e-twice") + "status: draft\n")
    a_rule(here, "f-template", template="welcom-back")
    a_rule(here, "g-good")
    code, lines = check(capsys)
    assert code == 1
    for line, (name, said) in zip(
        lines[:-1],
        [
            ("a-tab.yaml", "is no YAML: line 3: a tab"),
            ("b-latin.yaml", "is no UTF-8"),
            ("c-empty.yaml", "is empty"),
            ("d-list.yaml", '["a", "b"] - must be a mapping'),
            ("e-twice.yaml:6", "error status: line 6: is given twice; it stands in line 2 already"),
            ("f-template.yaml:5", "did you mean welcome-back?"),
        ],
        strict=True,
    ):
        assert line.startswith(f"rules/{name}: error")
        assert said in line
    assert lines[-1] == "7 files: 6 errors, 0 warnings"


def test_a_warning_alone_is_good_unless_it_must_not_be(here, capsys):
    a_rule(here, text=GOOD.format(id="a-rule").replace("category: cart\n", ""))
    code, [line, _] = check(capsys)
    assert (code, "warning category" in line) == (0, True)
    assert check(capsys, "--strict")[0] == 1


def test_a_machine_gets_the_same_as_json(here, capsys):
    a_rule(here, **{"Product Added": "Product Aded"})
    a_template(here, "never-used", "Hello")
    assert main(["rules", "check", "--templates", "templates", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    [finding] = answer.pop("findings")
    assert answer == {"files": 1, "errors": 0, "warnings": 1, "unused_templates": ["never-used"]}
    assert finding["reason"].startswith("did you mean Product Added?")
    del finding["reason"]
    assert finding == {
        "file": "rules/a-rule.yaml",
        "line": 4,
        "severity": "warning",
        "path": "trigger.performed.event",
        "value": "Product Aded",
    }


def test_segments_are_checked_too_and_known_to_single_files(here, capsys):
    (here / "rules" / "segments" / "fans.yaml").write_text(
        "id: fans\nwhere: [{performed: {event: X}}, {not: {performed: {event: X}}}]\n"
    )
    (here / "rules" / "segments" / "lost.yaml").write_text("id: lost\nwhere: {segment: fanns}\n")
    a_rule(here, text=GOOD.format(id="a-rule") + "audience: {segment: fans}\n")
    code, lines = check(capsys)
    assert code == 1
    assert any("segments/fans.yaml:2: warning where: nobody can ever be in this segment" in line for line in lines)
    assert any("segments/lost.yaml:2: error where.segment" in line and "did you mean fans?" in line for line in lines)
    assert any("a-rule.yaml:6: warning audience: nobody is ever in this audience" in line for line in lines)
    code, lines = check(capsys, "rules/a-rule.yaml")
    assert (code, lines[-1]) == (0, "1 file: 0 errors, 1 warning")


def test_a_rule_that_names_a_segment_that_is_refused_is_not_at_fault_itself(here, capsys):
    (here / "rules" / "segments" / "fans.yaml").write_text("id: fans\nwhere: {performd: X}\n")
    a_rule(here, text=GOOD.format(id="a-rule") + "audience: {segment: fans}\n")
    _, lines = check(capsys)
    assert not any("a-rule" in line for line in lines)


def test_what_is_not_there_or_not_read_is_told(here, capsys):
    assert main(["rules", "check", "nowhere.yaml"]) == 1
    assert "nowhere.yaml: error: No such file" in capsys.readouterr().out
    assert main(["rules", "check", "rules"]) == 1
    assert "there is no .yaml file in rules" in capsys.readouterr().err
    a_rule(here)
    (here / "rules" / "other.yml").write_text("id: other\n")
    assert "rules/other.yml: warning: is not read; call it other.yaml" in check(capsys)[1]
    assert main(["rules", "check", "--templates", "nowhere"]) == 1
    assert "--templates nowhere: there is no such folder" in capsys.readouterr().err


def test_a_marketing_rule_that_nothing_holds_back_is_warned_of(here, capsys):
    text = GOOD.format(id="a-rule") + 'frequency_cap: "off"\n'
    a_rule(here, text=text)
    assert "nothing keeps it from writing" in check(capsys)[1][0]
    a_rule(here, text=text + "re_entry: {after: 7d}\n")
    assert check(capsys)[1] == ["1 file: 0 errors, 0 warnings"]


def test_a_template_that_needs_what_a_trigger_does_not_promise_is_warned_of(here, capsys):
    a_template(here, "coupon", "{{ event.properties.name }} {{ event.properties.coupon }}")
    a_rule(here, template="coupon")
    _, [line, *_] = check(capsys)
    assert line.startswith('rules/a-rule.yaml:5: warning send.template: "coupon" - shows event.properties.coupon')
    assert "(coupon/body.html, line 1), which not every Product Added has" in line
    where = "{event: Product Added, where: {path: properties.coupon, exists: true}}"
    a_rule(here, text=GOOD.format(id="a-rule").replace("{event: Product Added}", where), template="coupon")
    assert check(capsys)[1][-1] == "1 file: 0 errors, 0 warnings"


def test_of_an_event_of_ones_own_the_example_is_believed(here, capsys):
    body = "{{ event.properties.score }}"
    a_template(here, "told", body, {"event": {"name": "Game Won", "properties": {"score": 3}}})
    a_template(here, "untold", body, {"event": {"name": "Another", "properties": {"score": 3}}})
    a_rule(here, template="told", **{"Product Added": "Game Won"})
    assert check(capsys)[1][:-1] == ["note: no rule uses these templates: untold, welcome-back"]
    a_rule(here, template="untold", **{"Product Added": "Game Won"})
    assert "which not every Game Won has" in check(capsys)[1][0]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{{ links.unsubscribe }}", "which transactional mail does not have"),
        ("{{ links.confirm }}", "which only transactional mail has that answers Consent Given or Data Requested"),
        ("{% for line in activity %}{{ line.label }}{% endfor %}", "which is empty in mail to the person"),
        ("{{ person.traits.plan }}", "which not everybody has"),
        ("{{ person.first_name }}", "which no mail has; did you mean person.traits.first_name?"),
        ("{{ evnt.properties.name }}", "which no mail has; did you mean event?"),
        ("{{ event.properties.name", "error send.template"),
        ("{% include '_nowhere.html' %}", "there is no _nowhere.html"),
    ],
)
def test_what_a_transactional_mail_to_the_person_does_not_have(here, capsys, body, said):
    a_template(here, "odd", body)
    a_rule(here, text=GOOD.format(id="a-rule") + "kind: transactional\n", template="odd")
    assert said in check(capsys)[1][0]


@pytest.mark.parametrize(
    "body",
    [
        "{% if links.unsubscribe is defined %}{{ links.unsubscribe }}{% endif %}",
        "{{ links.preferences }}",
        "{{ person.traits.email }} {{ person.id }} {{ rule.category }} {{ sender.name }} {{ event.timestamp }}",
        "{{ person.traits.plan|default('none') }}",
    ],
)
def test_what_it_does_have(here, capsys, body):
    a_template(here, "fine", body)
    a_rule(here, text=GOOD.format(id="a-rule") + "kind: transactional\n", template="fine")
    assert check(capsys)[1][-1] == "1 file: 0 errors, 0 warnings"


def test_who_may_lead_to_what(here, capsys):
    a_template(here, "odd", "{{ links.preferences }}")
    to_a_role = GOOD.format(id="a-rule") + "kind: transactional\n"
    a_rule(here, text=to_a_role, template="odd, to: support")
    assert "which mail to a role does not have; say: if links.preferences is defined" in check(capsys)[1][0]
    a_template(here, "asks", "{{ links.confirm }}")
    asks = GOOD.format(id="a-rule") + "kind: transactional\n"
    a_rule(here, text=asks, template="asks", **{"Product Added": "Consent Given"})
    assert check(capsys)[1][-1] == "1 file: 0 errors, 0 warnings"


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ("not_performed: {after: Product Added, none_of: [X], within: 1h}", ""),
        ("not_performed: {after: Product Added, none_of: [X], within: 1h, reset_on: [Cart Viewed]}", "Cart Viewed"),
        ("sequence: {steps: [X, Product Added], within: 1h}", ""),
        ("sequence: {steps: [Product Added, X], within: 1h}", "not every X has"),
        ("session_ended: {gap: 1h, having: [{event: Product Added}], none_of: [X]}", ""),
        ("session_ended: {gap: 1h, having: [{event: X, by: properties.name}]}", ""),
        ("session_ended: {gap: 1h}", "any track event need not have"),
        ("inactive: {for: 7d}", "any track event need not have"),
        ("inactive: {for: 7d, of: [Product Viewed, Product Added]}", ""),
        ("score: {features: [{event: Product Added, weight: 2, within: 1d}], above: 1}", ""),
        (
            "score: {features: [{event: Product Added, weight: 2, within: 1d}, {event: X, weight: -1, within: 1h}],"
            " above: 1}",
            "which Score Risen, an event of the engine's own, does not have",
        ),
        ("performed: {event: X, times: 2, within: 1h, by: properties.name}", ""),
    ],
)
def test_each_kind_shows_other_events(here, capsys, trigger, said):
    a_template(here, "names", "{{ event.properties.name }}")
    a_rule(here, text=GOOD.format(id="a-rule").replace("performed: {event: Product Added}", trigger), template="names")
    _, lines = check(capsys)
    assert [said in line for line in lines if "shows event.properties.name" in line] == ([True] if said else [])


def test_a_change_of_membership_may_come_with_any_of_its_events_or_with_none(here, capsys):
    (here / "rules" / "segments" / "fans.yaml").write_text("id: fans\nwhere: {performed: {event: Product Added}}\n")
    a_template(here, "names", "{{ event.properties.name }}")
    trigger = "segment: {id: fans, on: enter}"
    a_rule(here, text=GOOD.format(id="a-rule").replace("performed: {event: Product Added}", trigger), template="names")
    assert "which Segment Entered, an event of the engine's own, does not have" in check(capsys)[1][0]


def test_past_events_know_better_than_any_spec(here, capsys):
    a_template(here, "coupon", "{{ event.properties.coupon }} {{ event.properties.name }}")
    a_rule(
        here,
        template="coupon",
        text=GOOD.format(id="a-rule") + "entry_key: properties.cart_id\nexit_on: [Order Complete]\n",
    )
    added = {"event": "Product Added", "properties": {"name": "Lamp", "coupon": "MAY"}}
    events(
        here,
        added,
        added,
        added,
        {"event": "Product Added", "properties": {"name": "Lamp"}},
        {"event": "Order Completed"},
    )
    code, lines = check(capsys, "--events", "events.jsonl")
    assert code == 0
    assert sorted(line.split(" warning ")[1].split(";")[0] for line in lines[:-2]) == [
        'entry_key: "properties.cart_id" - no event carries it, of 4 Product Added',
        'exit_on[0].event: "Order Complete" - is the name of no track call among the events',
        'send.template: "coupon" - shows event.properties.coupon (coupon/body.html, line 1), which is missing in '
        "25 % of 4 Product Added",
    ]
    assert "did you mean Order Completed?" in "".join(lines)


def test_a_trait_that_nobody_has_is_told(here, capsys):
    (here / "rules" / "segments" / "fans.yaml").write_text("id: fans\nwhere: {path: traits.clubb, exists: true}\n")
    a_rule(here, text=GOOD.format(id="a-rule") + "audience: {path: traits.plan, equals: pro}\n")
    events(
        here,
        {"event": "Product Added"},
        {"type": "identify", "traits": {"club": "x"}, "context": {"traits": {"plan": 1}}},
    )
    _, lines = check(capsys, "--events", "events.jsonl")
    assert lines[:-1] == [
        'rules/segments/fans.yaml:2: warning where.path: "traits.clubb" - no event carries it, of 1 identify'
    ]


def test_past_events_may_be_many_files_packed_or_not_with_lines_that_are_none(here, capsys):
    a_rule(here)
    events(here, {"event": "Product Added"}, name="a.jsonl.gz")
    events(here, {"event": "Other"}, name="b.jsonl")
    with (here / "b.jsonl").open("a") as file:
        file.write("\n{broken\n")
    assert main(["rules", "check", "--templates", "templates", "--events", "*.jsonl*"]) == 0
    told = capsys.readouterr()
    assert told.out == "1 file: 0 errors, 0 warnings\n"
    assert "1 line left out that are no events, the first: b.jsonl:2: unreadable" in told.err


def test_a_past_without_a_single_event_is_no_past(here, capsys):
    a_rule(here)
    (here / "none.jsonl").write_text("")
    for pattern, said in (("none.jsonl", "there is no event"), ("nowhere*", "there is no such file")):
        assert main(["rules", "check", "--templates", "templates", "--events", pattern]) == 1
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("paths", [["rules"], ["rules/again.yaml"]])
def test_a_shadow_of_a_rule_that_is_not_there_is_an_error(tmp_path, monkeypatch, capsys, paths):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    rule = (
        "{status: %s, trigger: {performed: Signed Up}, kind: transactional, re_entry: once, send: {template: welcome}}"
    )
    (tmp_path / "rules" / "first.yaml").write_text(rule % "live")
    again = tmp_path / "rules" / "again.yaml"
    again.write_text(rule % "shadow, shadow_of: frist")
    assert main(["rules", "check", *paths]) == 1
    assert "did you mean first?" in capsys.readouterr().out
    again.write_text(rule % "shadow, shadow_of: first")
    assert main(["rules", "check", *paths]) == 0


@pytest.mark.parametrize(("paths", "told"), [(["rules"], 2), (["rules/thanks.yaml"], 1)])
def test_rules_that_begin_each_other_are_an_error_also_when_only_one_of_them_is_asked_about(here, capsys, paths, told):
    for name, other in (("thanks", "survey"), ("survey", "thanks")):
        where = f"{{path: properties.campaign_id, equals: {other}}}"
        text = GOOD.format(id=name).replace("{event: Product Added}", f"{{event: Email Sent, where: {where}}}")
        a_rule(here, name, text.replace("category: cart", "kind: transactional"))
    code, lines = check(capsys, *paths)
    assert (code, len(lines)) == (1, told + 1)
    assert lines[-2] == (
        'rules/thanks.yaml:4: error trigger.performed: "Email Sent" - this can go on for ever: Email Sent of thanks'
        " begins survey and Email Sent of survey begins thanks; nothing slows it down"
    )
