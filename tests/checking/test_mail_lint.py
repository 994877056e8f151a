"""What a mail that renders may still have wrong, each fault alone in a mail that has no other."""

import pytest

from tidings.checking.mail_lint import Lint, lint
from tidings.rendering import GMAIL_CLIPS_AT, Rendered

LINK = "https://mail.example.com/u/token"
ADDRESS = "12 Quay Street, Galway"
HTML = f"""<html lang="en"><head><title>T</title><style>p {{ }}</style></head><body>
<div style="display: none">What an inbox shows</div>
<p>Hello</p><p><a href="{LINK}">Unsubscribe</a></p><p>12 Quay&nbsp;Street,
Galway</p></body></html>"""
TEXT = f"Hello\n[Unsubscribe]({LINK})\n{ADDRESS}"


def found(html: str = HTML, text: str = TEXT, subject: str = "Hello", *, is_marketing: bool = True) -> list[Lint]:
    mail = Rendered(subject, html, text)
    return list(lint(mail, is_marketing=is_marketing, unsubscribe=LINK, postal_address=ADDRESS))


def with_body(more: str) -> str:
    return HTML.replace("<p>Hello</p>", f"<p>Hello</p>{more}")


def test_a_mail_with_everything_is_not_remarked_on() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("html", "text", "reason"),
    [
        (HTML.replace(f'href="{LINK}"', ""), TEXT, "unsubscribe link, and the HTML has none"),
        (HTML, TEXT.replace(LINK, ""), "unsubscribe link, and the text has none"),
        (HTML.replace("Galway", ""), TEXT, "postal address, and the HTML has none"),
        (HTML, TEXT.replace(ADDRESS, ""), "postal address, and the text has none"),
        (HTML.replace("<p>12", '<p style="display:none">12'), TEXT, "postal address, and the HTML has none"),
    ],
)
def test_marketing_without_a_way_out_or_an_address_is_refused(html: str, text: str, reason: str) -> None:
    """In each of both parts, since some people see only one. Transactional mail needs neither."""
    [one] = found(html, text)
    assert one.severity == "error"
    assert reason in one.reason
    assert found(html, text, is_marketing=False) == []


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        (with_body('<img src="https://a.example/x.png" width="9">'), "no alt text"),
        (with_body('<img src="https://a.example/x.png" alt="x">'), "no width"),
        (with_body('<a href="http://a.example/">x</a>'), "is not encrypted"),
        (with_body('<img src="HTTP://a.example/x.png" alt="" width="9">'), "is not encrypted"),
        (HTML.replace("What an inbox shows", "&#847; &#8199;"), "no preheader"),
        (HTML.replace(' style="display: none"', ""), "no preheader"),
        (HTML.replace(' lang="en"', ""), "does not say its language"),
    ],
)
def test_what_reads_badly_is_warned_of(html: str, reason: str) -> None:
    [one] = found(html)
    assert one.severity == "warning"
    assert reason in one.reason


def test_pictures_that_are_decoration_or_sized_by_their_style_are_fine() -> None:
    assert found(with_body('<img src="https://a.example/x.png" alt="" style="width: 20px">')) == []


def test_the_same_link_is_named_once() -> None:
    assert len(found(with_body('<a href="http://a.example/">x</a>' * 3))) == 1


def test_a_subject_that_no_inbox_shows_whole_is_warned_of() -> None:
    assert "71 characters" in found(subject="x" * 71)[0].reason
    assert found(subject="x" * 70) == []


@pytest.mark.parametrize(("is_marketing", "severity"), [(True, "error"), (False, "warning")])
def test_what_gmail_would_hide_is_worse_when_it_is_the_way_out(is_marketing: bool, severity: str) -> None:
    [one] = found(with_body(f"<p>{'x' * GMAIL_CLIPS_AT}</p>"), is_marketing=is_marketing)
    assert one.severity == severity
    assert "Gmail hides" in one.reason
