"""`tidings rules pull` and `diff`: what the store says, as files."""

import yaml

from tests.commands.rule_store import BUYERS, CART, SHIPPED
from tidings.documents import parse
from tidings.rollout.document_text import MODELINE

EDITED = {**CART, "name": "Edited: on", "priority": 60}


def fill(place, *documents):
    for one in documents:
        place.use(lambda store, one=one: (store.put_segment if "where" in one else store.put_rule)(one["id"], one))


def test_an_empty_folder_gets_a_file_for_every_document(place):
    fill(place, CART, BUYERS)
    assert place.type("pull new/rules --yes") == 0
    for path, document in (("new/rules/cart.yaml", CART), ("new/rules/segments/buyers.yaml", BUYERS)):
        text = (place.folder / path).read_text()
        assert text.startswith(MODELINE)
        assert parse(text) == document
    assert place.type("diff new/rules") == 0
    assert place.type("push new/rules") == 0, "nothing to do"
    assert sorted(one.name for one in (place.folder / "new" / "rules").iterdir()) == ["cart.yaml", "segments"]


def test_a_file_that_says_the_same_is_left_byte_for_byte(place):
    fill(place, CART, {**CART, "id": "other"})
    text = "# Ann asked for it.\n" + yaml.safe_dump(CART, default_flow_style=True)
    (place.folder / "rules" / "cart.yaml").write_text(text)
    assert place.type("pull --yes") == 0
    assert (place.folder / "rules" / "cart.yaml").read_text() == text
    assert "Comments" not in place.out
    assert (place.folder / "rules" / "other.yaml").exists()


def test_a_file_that_says_something_else_is_shown_and_asked_for(place):
    fill(place, EDITED)
    path = place.write(CART)
    before = path.read_text()
    assert place.type("pull", answer="n") == 1
    assert "+name: 'Edited: on'" in place.out
    assert "Comments in the files that are written anew will be lost" in place.out
    assert path.read_text() == before
    assert place.type("pull --dry-run") == 1
    assert path.read_text() == before
    assert place.type("pull", answer="yes") == 0
    assert parse(path.read_text()) == EDITED
    assert place.type("pull") == 0
    assert "already" in place.out


def test_without_a_terminal_somebody_must_have_said_yes(place):
    fill(place, CART)
    assert place.type("pull") == 2
    assert not (place.folder / "rules" / "cart.yaml").exists()


def test_what_is_only_in_files_stays(place):
    fill(place, CART)
    other = place.write({**CART, "id": "other"})
    assert place.type("pull --yes") == 0
    assert other.exists()


def test_a_name_that_leads_elsewhere_is_no_file(place):
    fill(place, {**CART, "id": "../../escaped"})
    assert place.type("pull --yes") == 1
    assert "no file of this name" in place.err
    assert not list(place.folder.parent.glob("escaped*"))


def test_a_difference_is_shown_both_ways(place):
    place.write(CART)
    place.write({**CART, "id": "new"})
    fill(place, EDITED, {**CART, "id": "old"}, BUYERS)
    assert place.type("diff") == 1
    assert "-name: 'Edited: on'" in place.out
    assert "--- store/cart" in place.out
    assert "+++ rules/cart.yaml" in place.out
    assert "only in the store: old" in place.out
    assert "only in the store: segment buyers" in place.out
    assert "only in files: new (rules/new.yaml)" in place.out


def test_one_file_is_compared_alone(place):
    fill(place, CART, {**CART, "id": "old"})
    assert place.type("diff", str(place.write(CART))) == 0
    assert place.out == ""


def test_no_colour_gets_into_a_pipe_and_no_line_is_cut(place, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    fill(place, {**CART, "description": "long " * 20})
    place.write(CART)
    assert place.type("diff") == 1
    assert "\x1b" not in place.out
    assert "long " * 19 in place.out


def test_true_and_one_differ(place):
    where = [{"path": "properties.new", "equals": True}]
    place.write({**CART, "trigger": {"performed": {"event": "A", "where": where}}})
    fill(place, {**CART, "trigger": {"performed": {"event": "A", "where": [{**where[0], "equals": 1}]}}})
    assert place.type("diff") == 1


def test_all_that_ships_survives_the_way_there_and_back(place):
    place.type("push", str(SHIPPED), "--yes")
    assert place.type("pull back --yes") == 0
    assert place.type("diff back") == 0
    for path in (place.folder / "back").rglob("*.yaml"):
        assert parse(path.read_text()) == parse((SHIPPED / path.relative_to(place.folder / "back")).read_text())
