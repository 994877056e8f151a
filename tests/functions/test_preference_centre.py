"""The preference centre through the Functions Framework, on a real store and a real Pub/Sub."""

import html
import logging
import re
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from werkzeug.test import Client, TestResponse

from functions import preference_centre
from tests.functions.accessibility import check, colours, contrast
from tests.functions.mail_room import MailRoom, ago
from tests.sends import a_decision
from tidings import choices
from tidings.consent import SALE_AND_SHARING, TRACKING, address_digest, from_event, permission
from tidings.feedback import Feedback
from tidings.links import preferences_url, unsubscribe_url
from tidings.tokens import Preferences, sign_preferences

PHONE = {"User-Agent": "Mozilla/5.0 (iPhone)", "X-Forwarded-For": "192.0.2.7"}


@pytest.fixture
def client(room: MailRoom) -> Client:
    """One instance of the function."""
    return room.client("engage")


def link(room: MailRoom, person: str = "u:ada") -> str:
    """The path of a person's preference centre."""
    return "/p/" + sign_preferences(Preferences(person, a_decision().send_id), room.settings.secret)


def boxes(page: TestResponse) -> dict[str, bool]:
    """The kinds of mail on a page, and which are ticked."""
    found = re.findall(r'<input type="checkbox" id="[a-z0-9-]+" name="want" value="([^"]*)"( checked)?', page.text)
    return {html.unescape(value): bool(checked) for value, checked in found}


def value(category: str) -> str:
    """What stands for it in the form."""
    return choices.Choice(category, "", "", "", "", "", on=True).value


def save(
    client: Client, path: str, *, on: tuple[str, ...] = (), off: tuple[str, ...] = (), **headers: str
) -> TestResponse:
    """Open the page, tick and untick, and save, as a browser does it."""
    page = client.get(path, headers=headers)
    was = re.findall(r'<input type="hidden" name="was" value="([^"]*)"', page.text)
    was = [re.sub(r"\r\n|\r|\n", "\r\n", html.unescape(one)) for one in was]  # as a browser gives it back
    [version] = re.findall(r'name="version" value="([0-9a-f]+)"', page.text)
    wanted = ({kind for kind, ticked in boxes(page).items() if ticked} | set(on)) - set(off)
    form: dict[str, Any] = {"choice": "save", "version": version, "was": was}
    return client.post(path, data={**form, "want": sorted(wanted)}, headers=headers)


def may(room: MailRoom, category: str) -> bool:
    """Whether the mailer would send Ada marketing mail of this category."""
    return permission("marketing", category, room.store.consent("u:ada")) is None


def notices(page: TestResponse) -> str:
    """What the page says that it has done."""
    [found] = re.findall(r'<div class="done" role="status">(.*?)</div>', page.text, re.DOTALL)
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", found).split()))


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
    for value in ("ada@example.com", "Ada<", "u:ada", "Signed Up", "Product Viewed", mail):
        assert value not in page.text


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
    policy = "- {id: offers, name: Offers, languages: {de: {name: Angebote, description: Was es billiger gibt.}}}\n"
    (tmp_path / "categories.yaml").write_text(policy)
    monkeypatch.setenv("TIDINGS_POLICY", str(tmp_path))
    client = room.client("engage")
    page = client.get(link(room), headers={"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"})
    assert re.search(r'<label for="kind-1" lang="de" dir="auto">Angebote</label>', page.text)
    check(page.text)
    assert ">Offers</label>" in client.get(link(room)).text
    save(client, link(room), off=("offers",), **{"Accept-Language": "de"})
    record = room.store.consent("u:ada")[-1]
    assert (record.language, record.words) == ("de", "[ ] Angebote. Was es billiger gibt. [Save my choices]")
    assert ">Angebote</label>" in client.get(link(room)).text


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


# Choosing


def test_a_tick_that_is_taken_away_ends_one_kind_before_the_next_mail(room: MailRoom, client: Client) -> None:
    """With the proof of what was shown, by whom, and from where."""
    page = save(client, link(room), off=("reminders",), **PHONE)
    assert notices(page) == "Saved. It holds from the next mail on. Switched off: Unfinished forms."
    assert boxes(page)["reminders"] is False
    decision = a_decision()
    room.push(decision)
    assert room.ending(decision) == ("suppressed", "opted_out", "")
    record = room.store.consent("u:ada", origins=True)[-1]
    assert (record.category, record.action, record.source, record.language) == (
        "reminders",
        "withdrawn",
        "preferences_page",
        "en",
    )
    assert record.words == "[ ] Unfinished forms. When you began something and were interrupted. [Save my choices]"
    assert record.words_version
    assert record.origin is not None
    assert (record.origin.ip, record.origin.user_agent) == ("192.0.2.7", "Mozilla/5.0 (iPhone)")


def test_the_event_says_the_same_as_the_record_and_no_address(room: MailRoom, client: Client) -> None:
    """The pipeline makes the same record of it; where the request came from is kept for a shorter time than events."""
    save(client, link(room), on=("newsletter",), off=("reminders", TRACKING), **PHONE)
    events = room.events()
    assert [event.event for event in events] == ["Consent Given", "Unsubscribed", "Consent Withdrawn"]
    made = [record for event in events for record in from_event(event)]
    assert sorted(made, key=lambda one: one.record_id) == sorted(
        room.store.consent("u:ada")[1:], key=lambda one: one.record_id
    )
    assert not any(
        b"192.0.2" in msgspec.json.encode(event) or b"iPhone" in msgspec.json.encode(event) for event in events
    )


def test_saving_what_is_so_says_nothing(room: MailRoom, client: Client) -> None:
    """Nobody agrees by pressing a button twice."""
    assert notices(save(client, link(room))) == "Your choices were already saved like this."
    assert len(room.store.consent("u:ada")) == 1
    assert room.events() == []


def test_a_page_that_lay_open_takes_nothing_back(room: MailRoom, client: Client) -> None:
    """Opened in the morning, left by one click at noon, saved in the evening with another change."""
    path = link(room)
    page = client.get(path)
    room.consent("u:ada", "offers", given=False, at=ago(minutes=0))
    form: dict[str, Any] = {
        "choice": "save",
        "version": re.findall(r'name="version" value="([0-9a-f]+)"', page.text)[0],
        "was": re.findall(r'name="was" value="([^"]*)"', page.text),
        "want": [kind for kind, ticked in boxes(page).items() if ticked and kind != "cart"],
    }
    client.post(path, data=form)
    assert (may(room, "offers"), may(room, "cart"), may(room, "news")) == (False, False, True)


def test_a_yes_needs_the_words_that_are_shown_now_and_a_no_does_not(room: MailRoom, client: Client) -> None:
    """Somebody has rewritten the page meanwhile: the no holds, the yes is asked for again."""
    form = {"choice": "save", "version": "another", "was": ["on:offers", "off:newsletter"], "want": ["newsletter"]}
    page = client.post(link(room), data=form)
    assert page.status_code == 409
    assert "look at the rest once more" in page.text
    assert (may(room, "offers"), boxes(page)["newsletter"]) == (False, False)
    check(page.text)


def test_a_form_of_which_a_part_is_missing_switches_nothing_on(room: MailRoom, client: Client) -> None:
    """What was cut off is not what somebody has unticked, nor all that they read."""
    [version] = re.findall(r'name="version" value="([0-9a-f]+)"', client.get(link(room)).text)
    room.consent("u:ada", "cart", given=False, at=ago(minutes=30))
    form = {"choice": "save", "version": version, "was": ["off:cart", "on:offers"], "want": ["cart"]}
    assert client.post(link(room), data=form).status_code == 409
    assert not may(room, "cart")
    assert not may(room, "offers")


def test_one_button_stops_everything_and_what_comes_later(room: MailRoom, client: Client) -> None:
    """The general no, of which each kind is shown as off."""
    room.consent("u:ada", "cart", given=True, at=ago(minutes=30))
    page = client.post(link(room), data={"choice": "none"})
    assert "no more marketing email" in notices(page)
    assert not any(ticked for kind, ticked in boxes(page).items() if kind != TRACKING)
    assert "You have stopped all of it." in page.text
    assert not any(may(room, kind) for kind in ("cart", "offers", "begun later"))
    record = room.store.consent("u:ada")[-1]
    assert (record.category, record.words) == ("marketing", "Stop all marketing email")


def test_one_kind_can_be_wanted_after_everything_was_stopped(room: MailRoom, client: Client) -> None:
    """It is then sent, and nothing else; and everything can be stopped again."""
    for _ in range(2):
        client.post(link(room), data={"choice": "none"})
        page = save(client, link(room), on=("offers",))
        assert [kind for kind, ticked in boxes(page).items() if ticked] == ["offers", TRACKING]
        assert [kind for kind in ("cart", "offers", "begun later") if may(room, kind)] == ["offers"]
    assert [event.event for event in room.events()] == ["Unsubscribed", "Consent Given"] * 2


def test_what_is_not_listed_can_be_left_and_the_rest_kept(room: MailRoom, client: Client) -> None:
    """`Anything else` speaks for kinds that nobody has thought of yet."""
    save(client, link(room), off=("marketing",))
    assert (may(room, "offers"), may(room, "begun later")) == (True, False)
    save(client, link(room), on=("marketing",), off=("offers",))
    assert (may(room, "offers"), may(room, "begun later")) == (False, True)


def test_a_kind_that_asks_for_a_confirmation_waits_for_it(room: MailRoom, client: Client) -> None:
    """It is recorded as given, told, so that a rule can send the mail, and not sent."""
    page = save(client, link(room), on=("newsletter",))
    assert "Newsletter: please confirm in the mail that we send to a•••@e•••.com, three a day at most." in notices(page)
    assert "This waits for you to confirm it" in page.text
    [event] = room.events()
    assert (event.event, event.objects["properties"]["category"]) == ("Consent Given", "newsletter")
    records = room.store.consent("u:ada")
    assert permission("marketing", "newsletter", records, double_opt_in=True) == "no_consent"
    assert notices(save(client, link(room))) == "Your choices were already saved like this."


def test_opens_and_clicks_can_be_switched_off_without_leaving_anything(room: MailRoom, client: Client) -> None:
    """It is no mail: the event is not `Unsubscribed`."""
    page = save(client, link(room), off=(TRACKING,))
    assert boxes(page)[TRACKING] is False
    assert may(room, "offers")
    assert [event.event for event in room.events()] == ["Consent Withdrawn"]


@pytest.mark.parametrize("form", [{}, {"choice": ""}, {"choice": "everything"}, {"List-Unsubscribe": "One-Click"}])
def test_a_form_that_is_not_ours_changes_nothing(room: MailRoom, client: Client, form: dict[str, str]) -> None:
    """400, with what to do; the link of this page is not the one of the header."""
    page = client.post(link(room), data=form)
    assert page.status_code == 400
    assert '<div class="error" role="alert">' in page.text
    assert "<title>Error: " in page.text
    check(page.text)
    assert len(room.store.consent("u:ada")) == 1


@pytest.mark.parametrize(
    "category", ["two\nlines", "\rodd", " a ", "nul\0", "on:off", "x" * 3000, '" onfocus="alert(1)']
)
def test_a_kind_of_any_name_can_be_left_and_wanted_again(room: MailRoom, client: Client, category: str) -> None:
    """Events name what they like, and browsers change what stands in a form."""
    room.consent("u:ada", category, given=True, at=ago(minutes=30))
    assert save(client, link(room), off=(value(category),)).status_code == 200
    assert not may(room, category)
    assert save(client, link(room), on=(value(category),)).status_code == 200
    assert may(room, category)


def test_of_two_hundred_kinds_one_can_be_left(room: MailRoom, client: Client) -> None:
    for number in range(200):
        room.consent("u:ada", f"a-kind-of-mail-with-a-rather-long-name-{number}", given=True, at=ago(minutes=30))
    left = "a-kind-of-mail-with-a-rather-long-name-7"
    assert save(client, link(room), off=(left,)).status_code == 200
    assert not may(room, left)
    assert may(room, left.replace("7", "8"))


def test_kinds_that_were_not_offered_cannot_be_chosen(room: MailRoom, client: Client) -> None:
    """Nobody fills the proof of consent with inventions."""
    form = {"choice": "save", "version": "x", "was": ["on:invented", "on:u:ada"], "want": ["made-up", SALE_AND_SHARING]}
    assert client.post(link(room), data=form).status_code == 409
    assert len(room.store.consent("u:ada")) == 1


# Global Privacy Control


def test_a_browser_that_objects_to_sale_and_sharing_is_taken_at_its_word_once(room: MailRoom, client: Client) -> None:
    """The signal is the request; no button is needed, and mail goes on."""
    assert client.head(link(room), headers={"Sec-GPC": "1"}).status_code == 200
    assert len(room.store.consent("u:ada")) == 1
    for _ in range(3):
        page = client.get(link(room), headers={"Sec-GPC": "1", **PHONE})
    assert "Global Privacy Control). That is noted since" in page.text
    [record] = room.store.consent("u:ada")[1:]
    assert (record.category, record.action, record.source) == (SALE_AND_SHARING, "withdrawn", "gpc")
    assert [event.event for event in room.events()] == ["Consent Withdrawn"]
    assert may(room, "offers")
    assert client.get(link(room), headers={"Sec-GPC": "0"}).status_code == 200
    assert len(room.store.consent("u:ada")) == 2


# A copy, and erasure


@pytest.mark.parametrize("what", ["export", "erase"])
def test_data_is_asked_for_and_nothing_more(room: MailRoom, client: Client, what: str) -> None:
    """A rule then sends a mail to the address on file: a forwarded link can do no more, and that once an hour."""
    for _ in range(3):
        page = client.post(link(room), data={"choice": what})
        assert page.status_code == 200
    assert "Please look into your mailbox, a•••@e•••.com" in notices(page)
    check(page.text)
    events = room.events()
    assert len({event.message_id for event in events}) == 1
    assert (events[0].person, events[0].event) == ("u:ada", "Data Requested")
    assert events[0].objects["properties"] == {
        "what": what,
        "email_id": a_decision().send_id,
        "source": "preferences_page",
    }
    assert len(room.store.consent("u:ada")) == 1
    assert room.store.profile("u:ada") is not None


def test_the_two_requests_are_two_events(room: MailRoom, client: Client) -> None:
    """Each has a mail of its own."""
    for what in ("export", "erase"):
        client.post(link(room), data={"choice": what})
    assert len({event.message_id for event in room.events()}) == 2


def test_without_an_address_nothing_can_be_asked_for_by_mail(room: MailRoom, client: Client) -> None:
    """The page says whom to write to instead."""
    path = link(room, "a:visitor")
    page = client.get(path)
    assert 'value="export"' not in page.text
    assert '<a href="mailto:hello@shop.example">' in page.text
    check(page.text)
    assert client.post(path, data={"choice": "erase"}).status_code == 409
    assert room.events() == []


# Addresses that are not mailed, and people who are gone


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("bounced", "there is no such mailbox"),
        ("550 5.1.1 no such user", "there is no such mailbox"),
        ("the mail server says: RCPT 550 5.1.1", "there is no such mailbox"),
        ("complained", "reported as spam"),
        ("erased", "its data was erased"),
        ("requested", "we were asked not to write there"),
        ("asked by phone, 5.1.1 times", "we were asked not to write there"),
    ],
)
def test_an_address_that_is_not_mailed_is_told_why(room: MailRoom, client: Client, reason: str, words: str) -> None:
    """Whatever is ticked; and never in the words of a mail server, which may hold the address."""
    room.store.suppress(address_digest("ada@example.com", room.settings.secret), reason, ago(days=3))
    page = client.get(link(room))
    [said] = re.findall(r'<div class="warn" role="note">(.*?)</div>', page.text, re.DOTALL)
    assert words in said
    assert f"{ago(days=3):%-d %B %Y}" in said
    assert "hello@shop.example" in said
    assert "5.1.1" not in page.text
    assert 'value="export"' not in page.text
    check(page.text)


def test_who_was_erased_finds_nothing_and_brings_nothing_back(room: MailRoom, client: Client) -> None:
    """The link in an old mail works for ever."""
    path = link(room)
    room.forget("u:ada", at=ago(days=1))
    page = client.get(path)
    assert "We keep nothing about you" in page.text
    assert f"{ago(days=1):%-d %B %Y}" in page.text
    check(page.text)
    for form in ({"choice": "export"}, {"choice": "none"}, {"choice": "save", "was": "off:offers", "want": "offers"}):
        assert "We keep nothing about you" in client.post(path, data=form, headers={"Sec-GPC": "1"}).text
    assert room.store.consent("u:ada") == []
    assert room.events() == []
    room.meet("u:ada", "ada@example.com")
    assert boxes(client.get(path))["offers"] is True


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
