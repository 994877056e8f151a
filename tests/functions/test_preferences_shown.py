"""What the preference centre shows, through the Functions Framework, on a real store and a real Pub/Sub."""

import logging
import re
from importlib.resources import files
from typing import Any

import pytest
from werkzeug.test import Client

from functions import preference_centre
from tests.functions.accessibility import check, colours, contrast
from tests.functions.choosing import PHONE, boxes, link, save, value
from tests.functions.mail_room import MailRoom, ago
from tests.sends import a_decision
from tidings.mailing.links import preferences_url, unsubscribe_url
from tidings.permission.consent import TRACKING
from tidings.records.feedback import Feedback

# What is shown


def test_every_kind_of_mail_is_shown_as_it_stands(room: MailRoom, client: Client) -> None:
    """Described or only spoken of; ticked when it is sent."""
    room.consent("u:ada", "cart", given=False, at=ago(minutes=30))
    room.consent("u:ada", "Odd / <kind>!", given=True, at=ago(minutes=30))
    page = client.get(link(room))
    assert page.status_code == 200
    shown = boxes(page)
    assert shown["offers"] is shown[value("Odd / <kind>!")] is shown["marketing"] is shown[TRACKING] is True
    assert shown["cart"] is shown["newsletter"] is False
    assert "<kind>" not in page.text


def test_the_mail_leads_to_the_page_of_the_person_who_got_it(room: MailRoom, client: Client) -> None:
    """In its footer, beside the way out."""
    room.push(a_decision())
    body = room.mail.mails[0].parsed.get_body(("html",))
    assert body is not None
    [url] = re.findall(r'href="([^"]*/p/[^"]*)"', body.get_content())
    assert url == preferences_url(a_decision(), room.settings)
    assert "a•••@e•••.com" in client.get(url.removeprefix(room.settings.public_url)).text


def test_the_page_says_how_much_is_kept_and_not_what(room: MailRoom, client: Client) -> None:
    """It opens for anybody to whom the mail was forwarded."""
    room.remember("u:ada", "Product Viewed", "Signed Up", at=ago(minutes=10))
    room.push(a_decision())
    mail = a_decision().send_id
    hits = [
        Feedback(feedback_id=kind, person="u:ada", send_id=mail, at=ago(minutes=1), kind=kind, source="engage")
        for kind in ("opened", "delivered")
    ]
    room.store.append_feedback(hits)
    page = client.get(link(room))
    rows = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.text))
    assert rows["Address"] == "a•••@e•••.com"
    assert rows["Things you did on our site or in our app"] == "2"
    assert rows["Facts about you, such as your name"] == "2"
    assert (rows["Mails that we sent you"], rows["Opens and clicks"], rows["Records of your choices"]) == (
        "1",
        "1",
        "1",
    )
    assert rows["First heard of you"] == f"{ago(days=30):%-d %B %Y}"
    for secret in ("ada@example.com", "Ada<", "u:ada", "Signed Up", "Product Viewed", mail):
        assert secret not in page.text


def test_what_is_too_much_to_count_is_not_counted(
    room: MailRoom, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each one is a read in the database, and the page is open to the internet."""
    monkeypatch.setattr(preference_centre, "MOST", 3)
    room.remember("u:ada", *"ABCDE", at=ago(minutes=10))
    assert "<dd>3 or more</dd>" in client.get(link(room)).text


def test_kinds_are_named_in_the_language_of_the_browser_or_of_the_past(
    room: MailRoom, client: Client, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And marked as such, so that a screen reader speaks them well."""
    policy = "- {id: offers, name: Offers, languages: {fr: {name: Offres, description: Les prix qui baissent.}}}\n"
    (tmp_path / "categories.yaml").write_text(policy)
    monkeypatch.setenv("TIDINGS_POLICY", str(tmp_path))
    client = room.client("engage")
    page = client.get(link(room), headers={"Accept-Language": "fr-CA,fr;q=0.9,en;q=0.5"})
    assert re.search(r'<label for="kind-1" lang="fr" dir="auto">Offres</label>', page.text)
    check(page.text)
    assert ">Offers</label>" in client.get(link(room)).text
    save(client, link(room), off=("offers",), **{"Accept-Language": "fr"})
    record = room.store.consent("u:ada")[-1]
    assert (record.language, record.words) == ("fr", "[ ] Offres. Les prix qui baissent. [Save my choices]")
    assert ">Offres</label>" in client.get(link(room)).text


@pytest.mark.parametrize("path", ["/p/garbage", "/p/", "/p/a/b", "/p/{unsubscribe}"])
def test_a_link_that_is_not_ours_opens_nothing(room: MailRoom, client: Client, path: str) -> None:
    """A token for another purpose neither."""
    path = path.replace("{unsubscribe}", unsubscribe_url(a_decision(), room.settings).rpartition("/")[2])
    for method in ("GET", "POST"):
        answer = client.open(path, method=method, data={"choice": "none"} if method == "POST" else None)
        assert answer.status_code == 404
    assert len(room.store.consent("u:ada")) == 1


def test_looking_changes_nothing(room: MailRoom, client: Client) -> None:
    """Link scanners look at everything."""
    for method in ("GET", "HEAD"):
        assert client.open(link(room), method=method).status_code == 200
    assert len(room.store.consent("u:ada")) == 1
    assert room.events() == []


# For everybody, and for nobody else


def test_the_page_can_be_used_by_everybody(room: MailRoom, client: Client) -> None:
    """Every state of it: landmarks, labels, headings in order, one language, no script."""
    path = link(room)
    pages = [
        client.get(path),
        save(client, path, on=("newsletter",), off=("cart",)),
        client.post(path, data={"choice": "none"}),
    ]
    pages += [client.get("/p/garbage"), client.get("/u/garbage")]
    for page in pages:
        check(page.text)
        assert "Set-Cookie" not in page.headers
    assert "<title>Done: " in pages[1].text


def test_every_pair_of_colours_can_be_read() -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for the edges of controls; by day and by night."""
    css = files("functions").joinpath("pages", "page.css").read_text("utf-8")
    for scheme in colours(css):
        texts = [(name, "card") for name in ("text", "strong", "quiet", "danger", "on-warn")]
        texts += [(name, "page") for name in ("strong", "quiet")]
        texts += [("on-accent", "accent"), ("on-done", "done"), ("on-warn", "warn")]
        assert {pair for pair in texts if contrast(scheme[pair[0]], scheme[pair[1]]) < 4.5} == set()
        edges = [("control", "card"), ("accent", "card")]
        assert {pair for pair in edges if contrast(scheme[pair[0]], scheme[pair[1]]) < 3} == set()
    assert len(colours(css)) == 2


def test_the_page_cannot_be_embedded_cached_indexed_or_scripted(room: MailRoom, client: Client) -> None:
    """As the unsubscribe page: its address is all the authority there is."""
    headers = client.get(link(room)).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Robots-Tag"] == "noindex"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_no_log_line_says_who_it_was(room: MailRoom, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """What was done is counted."""
    caplog.set_level(logging.DEBUG)
    save(client, link(room), off=("offers",), **PHONE)
    client.post(link(room), data={"choice": "export"})
    ours = [record for record in caplog.records if record.name.startswith(("functions", "tidings"))]
    said = " ".join(f"{record.getMessage()} {getattr(record, 'labels', '')}" for record in ours)
    assert len(ours) == 2
    for secret in ("ada", a_decision().send_id, link(room).removeprefix("/p/"), "192.0.2.7"):
        assert secret not in said
