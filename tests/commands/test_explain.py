"""`tidings explain`, as a support agent types it."""

import gzip
import json

import pytest

from tests.drawn import lines_of
from tests.lived import live
from tests.people import an_event, at, ms
from tidings.adapters.sqlite_store import SqliteStore
from tidings.commands.main import main
from tidings.deciding.engine import Engine
from tidings.documents import parse
from tidings.records.store import Activity
from tidings.rollout.rule_set import RuleSet
from tidings.rollout.versions import follow
from tidings.rules.rule import load

CART = """
name: Left something in the cart
status: live
category: cart
trigger: {not_performed: {after: Product Added, none_of: [Order Completed], within: 15m, reset_on: [Product Added]}}
entry_key: properties.cart
frequency_cap: "off"
send: {template: cart-abandoned}
"""
VIEWS = """
status: live
trigger: {performed: {event: Product Viewed, times: 3, within: 1h}}
frequency_cap: "off"
audience: {path: traits.plan, equals: pro}
send: {template: product-reminder}
"""
EVENTS = [
    an_event("", "09:50", type="identify", traits={"plan": "pro"}, message_id="who-1"),
    an_event("Product Added", "10:00", user_id=None, anonymous_id="x", message_id="add-1", properties={"cart": "c-7"}),
    an_event("", "10:02", type="identify", user_id="ann", anonymous_id="x", message_id="join-1"),
    an_event("Product Added", "10:04", message_id="add-2", properties={"cart": "c-7"}),
    *(an_event("Product Viewed", f"10:2{minute}", message_id=f"view-{minute}") for minute in (0, 1, 2)),
    *(an_event("Product Viewed", f"10:3{minute}", user_id="bob", message_id=f"bob-{minute}") for minute in (0, 1, 2)),
    an_event("Product Viewed", "11:00", user_id="cem", message_id="cem-1"),
    an_event("Product Added", "11:10", user_id="cem", message_id="cem-2", properties={"cart": "c-9"}),
    an_event("Order Completed", "11:12", user_id="cem", message_id="cem-3", properties={"cart": "c-9"}),
    an_event("Home", "15:00", user_id="dee", message_id="dee-1"),
]


def ending(decision):
    """The reminder of the cart goes out; of the others the person has had enough."""
    return ("sent", None, "") if decision.rule_id == "cart" else ("suppressed", "opted_out", "")


@pytest.fixture
def lived(tmp_path, monkeypatch):
    """The store of a system in which all of this has happened, and the archive of it, in two files."""
    monkeypatch.chdir(tmp_path)
    store = SqliteStore(str(tmp_path / "store.db"))
    documents = {"cart": parse(CART), "views": parse(VIEWS)}
    for name, document in documents.items():
        store.put_rule(name, document)
    rules = RuleSet({name: load(document, name) for name, document in documents.items()}, {})
    decided = live(store, Engine(rules.book()), EVENTS, ms("15:00"), ending)
    (tmp_path / "one.jsonl").write_bytes(b"\n".join(lines_of(EVENTS[5:])))
    (tmp_path / "two.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines_of(EVENTS[:5]))))
    return {decision.rule_id: decision.send_id for decision in decided}


def explain(*arguments):
    return main(["explain", *arguments, "--store", "sqlite:store.db"])


ARCHIVE = ["--verify", "one.jsonl", "two.jsonl.gz"]


def test_a_mail_that_went_out_is_explained_by_its_send_id_or_the_first_characters_of_it(lived, capsys):
    assert explain(lived["cart"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("cart for u:ann (c-7): sent\n")
    assert "which is still in force (live): Left something in the cart" in page
    assert "    none_of: [Order Completed]\n" in page
    assert "2025-03-03 10:00:00 UTC      Product Added (add-1)" in page  # done before anybody knew who it was
    assert "15m after the last of them, Product Added, and nothing had ended it" in page
    assert "  not asked    quiet hours\n" in page
    assert "  passed       consent\n" in page
    assert "why " not in page
    assert explain(lived["cart"][:8]) == 0
    assert capsys.readouterr().out == page


def test_a_mail_that_did_not_go_out_says_first_what_stopped_it_and_what_to_do(lived, capsys):
    assert explain(lived["views"], "--tz", "Europe/Oslo") == 0
    page = capsys.readouterr().out.splitlines()
    assert page[:3] == [
        "views for u:ann: not sent",
        "  why         opted_out: The person has said no to this category, or to all marketing mail.",
        "  what to do  Nothing: it is their choice.",
    ]
    assert "  stopped      consent" in page
    assert "  not reached  mail server" in page
    assert any("11:22:00 CET" in line for line in page)


def test_a_person_has_all_their_decisions_the_latest_first(lived, capsys):
    assert explain("--person", "ann") == 0
    told = capsys.readouterr().out.splitlines()
    assert [line[:44] for line in told] == [
        "2025-03-03 10:22:00 UTC  views: not sent  [" + lived["views"][:1],
        "    consent: opted_out. The person has said ",
        "2025-03-03 10:19:00.001 UTC  cart (c-7): sen",
    ]
    assert explain("--person", "u:ann", "--rule", "cart") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert explain("--person", "u:ann", "--at", "2025-03-03 10:20:00") == 0
    assert capsys.readouterr().out.startswith("cart for u:ann (c-7): sent")


def test_the_archive_says_the_same_byte_for_byte(lived, capsys):
    for send_id in lived.values():
        assert explain(send_id, *ARCHIVE) == 0
        assert "VERIFIED: decided again from 7 events of theirs" in capsys.readouterr().out
    assert explain("--person", "ann", "--rule", "cart", "--json", *ARCHIVE) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verified"]
    assert told["told"] == told["again"]


def test_an_archive_that_has_lost_an_event_says_what_differs(lived, tmp_path, capsys):
    (tmp_path / "two.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines_of(EVENTS[:4]))))
    (tmp_path / "one.jsonl").write_bytes(b"{\n" + b"\n".join(lines_of([*EVENTS[4:6], *EVENTS[7:]])))
    lost = lived["views"]
    assert explain(lost, *ARCHIVE) == 1
    told = capsys.readouterr()
    assert "NOT VERIFIED: decided again from 6 events of theirs in the archive, this mail is not decided" in told.out
    assert "may come out otherwise without anything being wrong" in told.out
    assert "Product Viewed: counted (2 of 3)" in told.out
    assert told.out.endswith("counted (2 of 3), and no more came in time\n")
    assert "one line of the archive is no event" in told.err
    (tmp_path / "two.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines_of(EVENTS[:3]))))
    (tmp_path / "one.jsonl").write_bytes(b"\n".join(lines_of(EVENTS[4:])))
    assert explain(lived["cart"], *ARCHIVE) == 1
    told = capsys.readouterr().out
    assert "it comes out otherwise" in told
    assert '  evidence[add-2]\n    the ledger   {"message_id":"add-2"' in told
    assert "  due.at\n    the ledger   2025-03-03T10:19:00Z\n    the archive  2025-03-03T10:15:00Z\n" in told


def test_a_rule_that_was_edited_since_decides_again_as_it_was(lived, tmp_path, capsys):
    store = SqliteStore(str(tmp_path / "store.db"))
    old = parse(CART)
    entry = store.ledger_entry(lived["cart"])
    store.put_rule("cart", {**old, "trigger": {"performed": {"event": "Home"}}, "status": "paused"})
    history = [{"version": entry.decision.rule_version, "document": old, "superseded_at": "2999-01-01T00:00:00+00:00"}]
    store.report_rule("cart", {"valid": True, "version": "x", "history": history}, None)
    assert explain(lived["cart"], *ARCHIVE) == 0
    assert "since replaced" in capsys.readouterr().out
    store.report_rule("cart", {"valid": True, "version": "x"}, None)
    assert explain(lived["cart"]) == 0
    assert "which is not kept any more" in capsys.readouterr().out
    assert explain(lived["cart"], *ARCHIVE) == 1
    assert "is not kept any more, so nobody can decide by it again" in capsys.readouterr().err


def test_a_rule_that_was_paused_or_made_a_draft_since_decides_again_as_it_was(lived, tmp_path, capsys):
    for status in ("paused", "draft", "shadow"):
        SqliteStore(str(tmp_path / "store.db")).put_rule("cart", {**parse(CART), "status": status})
        assert explain(lived["cart"], *ARCHIVE) == 0
        assert f"({status})" in capsys.readouterr().out


def test_rules_may_come_from_a_folder(lived, tmp_path, capsys):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "cart.yaml").write_text(CART.replace("15m", "20m"))
    assert explain(lived["cart"], "--rules", "rules") == 0
    assert "since replaced" in capsys.readouterr().out
    assert explain(lived["cart"], "--rules", "rules", *ARCHIVE) == 0


@pytest.mark.parametrize(
    ("person", "rule", "verdict", "code"),
    [
        ("bob", "views", "it fired, but outside the audience, at 2025-03-03 10:32:00 UTC", 0),
        ("cem", "views", "Product Viewed at 2025-03-03 11:00:00 UTC counted (1 of 3), and no more came in time", 1),
        ("cem", "cart", "Order Completed at 2025-03-03 11:12:00 UTC: ended the episode (Order Completed) for c-9", 1),
        ("dee", "cart", "nothing of theirs meant anything to this rule, in 1 event", 1),
        ("zoe", "cart", "the archive holds no event of theirs", 1),
    ],
)
def test_why_nothing_was_decided_is_told_event_by_event(lived, capsys, person, rule, verdict, code):
    assert explain("--person", person, "--rule", rule, *ARCHIVE) == code
    told = capsys.readouterr().out
    assert verdict in told.splitlines()[-1]


def test_a_clock_that_still_runs_is_told_as_one(lived, capsys):
    assert explain("--person", "ann", "--rule", "cart", "--trace", *ARCHIVE, "--until", "2025-03-03 10:10") == 1
    told = capsys.readouterr().out
    assert "[a:x]: started the clock: due 2025-03-03 10:15:00 UTC [c-7]" in told
    assert "moved the clock to 2025-03-03 10:19:00 UTC [c-7]" in told
    assert "the clock still runs: due 2025-03-03 10:19:00 UTC; the archive reaches until 2025-03-03 10:10:00" in told


def test_without_the_archive_it_says_what_is_known_and_that_the_archive_knows_more(lived, capsys):
    assert explain("--person", "cem", "--rule", "cart") == 1
    told = capsys.readouterr().err
    assert "u:cem: nothing was decided by cart. The feed holds 3 events of theirs, the latest Order Completed" in told
    assert "--verify EVENTS" in told


def test_what_is_decided_and_not_in_the_ledger_yet_is_told(lived, tmp_path, capsys):
    line = Activity(
        activity_id="d-f", person="u:ann", at=at("12:00"), kind="decision", label="cart", detail={"send_id": "f" * 32}
    )
    SqliteStore(str(tmp_path / "store.db")).append_activity([line])
    assert explain("--person", "ann") == 0
    assert "cart: decided, and not in the ledger yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "say either SEND_ID or --person P"),
        (["abc", "--person", "ann"], 2, "say either SEND_ID or --person P"),
        (["abc", "--rule", "cart"], 2, "--rule and --at go with --person"),
        (["abc"], 1, "abc: no such send; a part of one needs 8 characters"),
        (["0123456789abcdef"], 1, "0123456789abcdef: no such send"),
        (["--person", "ann", "--rule", "crat"], 1, "crat: there is no such rule; did you mean cart?"),
        (["--person", "ann", "--at", "soon"], 2, "soon: is no time"),
        (["--person", "ann", "--tz", "Nowhere"], 2, "there is no such time zone"),
        (["--person", "ann", *ARCHIVE], 2, "say SEND_ID, or --person with --rule"),
        (["--person", "ann", "--since", "2025-03-03"], 2, "are about the archive"),
        (["--person", "ann", "--trace", *ARCHIVE], 2, "say SEND_ID, or --person with --rule"),
        (["--person", "ann", "--rule", "cart", "--verify", "missing.jsonl"], 1, "missing.jsonl: there is no such file"),
        (["--person", "ann", "--rules", "missing"], 1, "there is no such folder"),
    ],
)
def test_each_mistake_has_an_answer_and_an_exit_code(lived, capsys, arguments, code, message):
    assert explain(*arguments) == code
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("scale", ["0", "-1", "nan", "inf"])
def test_a_time_scale_is_above_zero(lived, capsys, scale):
    with pytest.raises(SystemExit) as ended:
        explain(lived["cart"], "--time-scale", scale)
    assert ended.value.code == 2
    assert "--time-scale: must be above 0" in capsys.readouterr().err


def test_the_nearest_send_is_named(lived, capsys):
    send_id = lived["cart"]
    assert explain(send_id[:-2] + "zz") == 1
    assert f"did you mean {send_id}?" in capsys.readouterr().err


def test_a_store_that_is_not_there_is_not_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert explain("--person", "ann") == 1
    assert "sqlite:store.db: there is no such file" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def keep(store, name, document, when, note="push"):
    """Put a rule, with a line in its history."""
    newest = next(iter(store.versions("rule", name)), None)
    store.put_rule(name, document, follow(newest, "rule", name, load(document, name).version, document, at(when), note))


def test_the_archive_is_asked_with_the_rules_of_that_time_whatever_was_edited_since(tmp_path, monkeypatch, capsys):
    """The cap of one rule was used up by the mail of another one, which looks for something else today."""
    monkeypatch.chdir(tmp_path)
    store = SqliteStore(str(tmp_path / "store.db"))
    looked = {"status": "live", "trigger": {"performed": {"event": "Home"}}, "send": {"template": "welcome"}}
    cart = {**parse(CART), "frequency_cap": "default"}
    for name, document in {"cart": cart, "looked": looked}.items():
        keep(store, name, document, "08:00")
    rules = RuleSet({"cart": load(cart, "cart"), "looked": load(looked, "looked")}, {})
    events = [an_event("Home", "09:59", message_id="h"), *EVENTS[3:4], an_event("Home", "11:00", user_id="dee")]
    decided = live(store, Engine(rules.book()), events, ms("12:00"), ending)
    (tmp_path / "one.jsonl").write_bytes(b"\n".join(lines_of(events)))
    [capped] = [one for one in decided if one.rule_id == "cart"]
    assert capped.reason == "frequency_capped"

    later = {**looked, "trigger": {"performed": {"event": "Something else"}}}
    keep(store, "looked", later, "13:00")
    keep(store, "cart", {**cart, "entry_key": "properties.other"}, "14:00")
    assert explain(capped.send_id) == 0
    assert "since replaced" in capsys.readouterr().out  # a version that is not in force any more is still known
    assert explain(capped.send_id, "--verify", "one.jsonl") == 0
    assert "verified" in capsys.readouterr().out.lower()


def test_an_archive_that_holds_another_content_of_an_event_says_otherwise(lived, tmp_path, capsys):
    events = b"\n".join(lines_of(EVENTS)).replace(b'"cart":"c-7"', b'"cart":"c-7","price":1')
    (tmp_path / "one.jsonl").write_bytes(events)
    assert explain(lived["cart"], "--verify", "one.jsonl") == 1
    assert "shown" in capsys.readouterr().out
