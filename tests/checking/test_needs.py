"""What a template needs of its facts: what is said of it is asked of Jinja, which renders it with and without them."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.checking.needs import of_message
from tidings.errors import TemplateError
from tidings.rendering import render, syntax

NAMES = "abc"
VALUES = {"a": "x", "b": 3, "c": "https://example.com"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where templates are. Each that a test writes gets a name of its own, for Jinja keeps what it has read."""
    return tmp_path_factory.mktemp("templates")


numbers = itertools.count()


def write(folder, body, **others):
    name = f"message-{next(numbers)}"
    (folder / name).mkdir()
    (folder / name / "subject.txt").write_text("A subject")
    (folder / name / "body.html").write_text(body)
    for file, text in others.items():
        (folder / f"_{file}.html").write_text(text)
    return name


def needs(folder, body, **others):
    return of_message(write(folder, body, **others), lambda name: syntax(name, str(folder)))


def needed(folder, body, **others):
    """The properties of the event that it cannot do without."""
    return {
        path.removeprefix("event.properties.") for path in needs(folder, body, **others).needed if path.count(".") > 1
    }


def renders(folder, message, properties):
    event = {"name": "X", "timestamp": "2026-03-01T10:00:00+00:00", "properties": properties}
    facts = {"person": {"id": "u:1", "traits": {}}, "event": event, "events": [event, event], "activity": []}
    try:
        render(message, {**facts, "rule": {}, "sender": {}, "links": {}}, str(folder))
    except TemplateError as error:
        assert "undefined" in str(error) or "has no attribute" in str(error), error
        return False
    return True


P = "event.properties"
SNIPPETS = [
    ("{{ event.properties.a }}", "a"),
    ('{{ event["properties"]["a"] }}', "a"),
    ('{{ event.properties.a|default("") }}', ""),
    ('{{ event.properties.a.deep|default("") }}', "a"),
    ("{{ event.properties.get('a') or 'x' }}", ""),
    ("{% if event.properties.a is defined %}{{ event.properties.a }}{% endif %}", ""),
    ("{% if event.properties.a %}x{% endif %}", "a"),
    ("{% if event.properties.a is not defined %}x{% else %}{{ event.properties.a }}{% endif %}", ""),
    ("{% if event.properties.a is defined and event.properties.a == 'x' %}x{% endif %}", ""),
    ("{% if event.properties.a is undefined or event.properties.a == 'x' %}x{% endif %}", ""),
    ("{% if event.properties.a is defined or true %}{{ event.properties.a }}{% endif %}", "a"),
    ("{% if 'a' in event.properties %}{{ event.properties.a }}{% endif %}", ""),
    ("{% if event.properties.get('a') %}{{ event.properties.a }}{% endif %}", ""),
    ("{% if event.properties.a is string %}{{ event.properties.a }}{% endif %}", ""),
    ("{% if event.properties.c is web_url %}{{ event.properties.c }}{% endif %}", ""),
    ("{% if event.properties.b is number %}{{ event.properties.b|money('EUR') }}{% endif %}", ""),
    ("{{ event.properties.b|money('EUR') }}", "b"),
    ("{{ event.properties.a if event.properties.a is defined else '' }}", ""),
    ("{% set p = event.properties %}{{ p.a }}", "a"),
    ("{% set a = event.properties.a %}x", ""),
    ("{% set a = event.properties.a %}{{ a }}", "a"),
    ("{% set a = event.properties.a|default('x') %}{{ a }}", ""),
    ("{% with p = event.properties %}{{ p.b }}{% endwith %}", "b"),
    ("{% for x in event.properties.a %}{{ x }}{% endfor %}", "a"),
    ("{% for e in events %}{{ e.properties.a }}{% endfor %}", "a"),
    ("{% for e in (events or [event]) if e.properties.a is defined %}{{ e.properties.a }}{% endfor %}", ""),
    ("{{ (events or [event])|groupby('properties.a')|length }}", "a"),
    ("{{ (events or [event])|groupby('properties.a', default='x')|length }}", ""),
    ("{% for g in events|groupby('properties.a', default='x') %}{{ g.list[-1].properties.b }}{% endfor %}", "b"),
    ("{{ events[0].properties.a }}{{ (events|first).properties.b }}", "ab"),
    ("{{ events|map(attribute='properties.a')|join }}", "a"),
    ("{{ events|map(attribute='properties.b', default=0)|sum }}", ""),
    ("{% macro m(p) %}{{ p.a }}{% endmacro %}{{ m(event.properties) }}", "a"),
    ("{% macro m(p) %}{{ p }}{% endmacro %}{{ m(event.properties.a|default('x')) }}", ""),
    ("{% if undreamt is defined %}{{ event.properties.a }}{% endif %}x", ""),
    (
        "{% if event.properties.a is undefined %}x{% elif event.properties.b is undefined %}y"
        "{% else %}{{ event.properties.a }}{{ event.properties.b }}{% endif %}",
        "",
    ),
    ("{{ 'x' ~ event.properties.a }}", "a"),
    ("{{ event.properties.b + 1 }}", "b"),
    ("{% filter upper %}{{ event.properties.a }}{% endfilter %}", "a"),
    ("{% set x %}{{ event.properties.a }}{% endset %}{{ x }}", "a"),
    ("{{ {'k': event.properties.b}['k'] }}", "b"),
    ("{# {{ event.properties.a }} #}x{% raw %}{{ event.properties.a }}{% endraw %}", ""),
]
"""Templates, and the properties that they cannot do without."""


@pytest.mark.parametrize(("body", "cannot_lack"), SNIPPETS)
def test_what_a_template_needs_is_what_it_cannot_be_rendered_without(folder, body, cannot_lack):
    message = write(folder, f"x {body}")
    found = needed(folder, body)
    assert found == set(cannot_lack) or found == {f"{one}.deep" for one in cannot_lack} | set(cannot_lack)
    for name in NAMES:
        without = {one: value for one, value in VALUES.items() if one != name}
        assert renders(folder, message, without) is (name not in cannot_lack), name


paths = st.sampled_from([f"{P}.{name}" for name in NAMES])
tests = st.recursive(
    st.one_of(
        st.builds("{} is defined".format, paths),
        st.builds("{} is undefined".format, paths),
        st.builds("{} is string".format, paths),
        st.builds("{} == 'x'".format, paths),
        st.builds("'{}' in event.properties".format, st.sampled_from(NAMES)),
    ),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=3,
)
values = st.recursive(
    st.one_of(paths, st.sampled_from(["'x'", "1", f"{P}.get('a')"])),
    lambda inner: st.one_of(
        st.builds("({}|default({}))".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, tests, inner),
        st.builds("({} ~ {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
    ),
    max_leaves=4,
)
bodies = st.recursive(
    st.builds("{{{{ {} }}}}".format, values),
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, tests, inner, inner),
        st.builds("{{% if {} %}}{}{{% elif {} %}}{}{{% endif %}}".format, tests, inner, tests, inner),
        st.builds("{{% set v = {} %}}{}{{{{ v }}}}".format, values, inner),
    ),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None)
@given(body=bodies)
def test_a_mail_that_cannot_be_rendered_lacks_something_that_its_template_needs(folder, body):
    message = write(folder, f"x {body}")
    found = needed(folder, body)
    for given_names in itertools.chain.from_iterable(itertools.combinations(NAMES, size) for size in range(4)):
        if not renders(folder, message, {name: VALUES[name] for name in given_names}):
            assert found - set(given_names), given_names


def test_what_stands_in_for_a_missing_name_is_needed_itself(folder):
    """Not in every mail, but whenever the stand-in is asked for."""
    body = "{{ event.properties.a|default(event.properties.b) }}"
    assert needed(folder, body) == {"b"}
    assert not renders(folder, write(folder, body), {})


def test_a_layout_is_read_with_what_the_message_sets_and_the_blocks_that_it_fills(folder):
    layout = (
        "{{ title }}{% block a %}{{ event.properties.a }}{% endblock %}"
        "{% if link is defined %}{{ link }}{% endif %}{% block b %}{{ event.properties.b }}{% endblock %}"
    )
    body = (
        "{% extends '_frame.html' %}{% set title = 'x' %}{% set link = event.properties.c %}"
        "{% block a %}mine{% endblock %}{{ event.properties.never_shown }}"
    )
    found = needs(folder, body, frame=layout)
    assert found.needed.keys() == {"event", "event.properties", "event.properties.b"}
    assert found.needed["event.properties.b"].file == "_frame.html"


def test_super_draws_in_the_block_that_is_filled(folder):
    body = "{% extends '_outer.html' %}{% block a %}{{ super() }}{% endblock %}"
    assert needed(folder, body, outer="{% block a %}{{ event.properties.a }}{% endblock %}") == {"a"}


def test_what_is_included_sees_what_is_set_and_what_is_imported_does_not(folder):
    assert needed(folder, "{% set p = event.properties %}{% include '_part.html' %}", part="{{ p.a }}") == {"a"}
    macros = "{% macro show(thing) %}{{ thing.b }}{% endmacro %}"
    assert needed(folder, "{% import '_m.html' as m %}{{ m.show(event.properties) }}", m=macros) == {"b"}
    assert needed(folder, "{% from '_n.html' import show as s %}{{ s(event.properties) }}", n=macros) == {"b"}


def test_a_name_that_no_mail_has_is_needed_under_its_own_name(folder):
    assert {"coupon", "person.first_name"} <= needs(folder, "{{ coupon }}{{ person.first_name }}").needed.keys()


def test_files_that_are_missing_are_told_unless_that_is_allowed(folder):
    assert needs(folder, "{% include '_nowhere.html' %}").missing.keys() == {"_nowhere.html"}
    assert not needs(folder, "{% include '_nowhere.html' ignore missing %}").missing


def test_templates_that_go_round_in_a_circle_are_read_to_an_end(folder):
    assert needed(
        folder, "{% include '_round.html' %}", round="{{ event.properties.a }}{% include '_round.html' %}"
    ) == {"a"}


def test_the_place_that_is_told_is_the_first_line_that_shows_it(folder):
    place = needs(folder, "\n\n{{ event.properties.a }}\n{{ event.properties.a }}").needed["event.properties.a"]
    assert (place.file.split("/")[1], place.line) == ("body.html", 3)


def test_what_only_a_variant_shows_is_needed_too(folder):
    """Whoever reads that language would get no mail otherwise."""
    message = write(folder, "<p>Hello</p>")
    (folder / message / "de").mkdir()
    (folder / message / "de" / "subject.txt").write_text("Hallo")
    (folder / message / "de" / "body.mjml").write_text("<mjml>\n{{ event.properties.a }}</mjml>")
    needs = of_message(message, lambda name: syntax(name, str(folder)), ["de"])
    assert needs.needed["event.properties.a"] == (f"{message}/de/body.mjml", 2)
