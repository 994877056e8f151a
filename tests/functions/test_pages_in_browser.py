"""The pages behind the links of a mail as a phone shows them, with JavaScript switched off."""

from collections.abc import Iterator

import pytest

from tests.functions.choosing import link, may
from tests.functions.mail_room import MailRoom, ago
from tests.functions.test_confirmation import link as confirmation_link
from tests.local.browser import Browser, missing
from tests.sends import a_decision
from tests.support import require
from tidings.tokens import sign_unsubscribe


@pytest.fixture
def phone() -> Iterator[Browser]:
    """A browser as wide as a phone that runs no script of any page."""
    require(missing())
    with Browser(width=390, height=844) as browser:
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        yield browser


def press(browser: Browser, words: str) -> None:
    """Press the button with these words, and wait for the answer."""
    browser.run("document.documentElement.id = 'before'")
    browser.run(f"[...document.querySelectorAll('button')].find(one => one.textContent.trim() === '{words}').click()")
    browser.wait_for(
        "document.documentElement && document.documentElement.id !== 'before' && document.readyState === 'complete'"
    )


def text(browser: Browser, selector: str) -> str:
    """What an element of the page says."""
    return str(browser.run(f"document.querySelector('{selector}')?.innerText ?? ''"))


def test_choices_are_made_on_a_phone_without_javascript(room: MailRoom, phone: Browser) -> None:
    """Nothing runs out of the screen, a label is as good as its box, and all of it is real forms."""
    room.consent("u:ada", "x" * 200, given=True, at=ago(minutes=10))
    with room.served("engage") as url:
        phone.open(url.rstrip("/") + link(room))
        assert phone.run("document.documentElement.scrollWidth") == 390
        small = "[...document.querySelectorAll('input[type=checkbox], button')].filter(one => one.offsetHeight < 24)"
        assert phone.run(f"{small}.length") == 0, "WCAG 2.5.8: the size of targets"
        phone.click("label[for=kind-1]")
        press(phone, "Save my choices")
        assert "Switched off: Offers." in text(phone, "[role=status]")
        assert phone.run("document.querySelector('#kind-1').checked") is False
        press(phone, "Stop all marketing email")
        assert "You get no more marketing email" in text(phone, "[role=status]")
        assert not may(room, "news")
        press(phone, "Send me a copy of my data")
        assert "a•••@e•••.com" in text(phone, "[role=status]")
    assert [event.event for event in room.events()] == ["Unsubscribed", "Unsubscribed", "Data Requested"]


def test_a_subscription_is_confirmed_on_a_phone_without_javascript(room: MailRoom, phone: Browser) -> None:
    """One button, and the styles are there: the policy of the page allows its own and nothing else."""
    room.consent("u:ada", "newsletter", given=True, at=ago(minutes=10))
    with room.served("engage") as url:
        phone.open(url.rstrip("/") + confirmation_link(room, "subscribe"))
        assert text(phone, "h1") == "Please confirm"
        assert phone.run("getComputedStyle(document.querySelector('main')).borderRadius") == "14px"
        press(phone, "Yes, send it to me")
        assert text(phone, "h1") == "Thank you"
    assert [event.event for event in room.events()] == ["Consent Confirmed"]


def test_no_page_runs_out_of_the_smallest_screen(room: MailRoom) -> None:
    """320 pixels, or a page at 400% (WCAG 1.4.10), and a kind of mail whose name is as long as a rule may call it."""
    require(missing())
    longest = "x" * 63
    room.consent("u:ada", longest, given=True, at=ago(minutes=10))
    leave = "/u/" + sign_unsubscribe("u:ada", longest, a_decision().send_id, room.settings.secret)
    with room.served("engage") as url, Browser(width=320, height=640) as browser:
        for path in (leave, link(room), confirmation_link(room, "erase"), "/l/cut-short"):
            browser.open(url.rstrip("/") + path)
            assert browser.run("document.documentElement.scrollWidth") == 320, text(browser, "h1")
            size = browser.run("getComputedStyle(document.querySelector('main p')).fontSize")
            browser.run("document.documentElement.style.fontSize = '200%'")
            assert browser.run("getComputedStyle(document.querySelector('main p')).fontSize") != size, "1.4.4: it grows"
            assert browser.run("document.documentElement.scrollWidth") == 320, text(browser, "h1")
