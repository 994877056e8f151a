"""What goes in by SMTP comes out on the inbox page, and can do no harm there."""

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tidings.local.catcher import MAX_BYTES
from tidings.local.folder import DataFolder
from tidings.local.mailbox import Mailbox
from tidings.local.parts import mail_catcher
from tidings.local.ports import HOST, free_port
from tidings.local.supervisor import Supervisor
from tidings.local.web import LocalPages, create_app

EVIL = '<script>document.title = "stolen"</script>'


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(DataFolder(tmp_path).mail)


@pytest.fixture
def smtp(tmp_path: Path, mailbox: Mailbox) -> Iterator[smtplib.SMTP]:
    port = free_port()
    with Supervisor(tmp_path / "logs", pytest.fail) as supervisor:
        supervisor.start(mail_catcher(DataFolder(tmp_path), port)).wait_until_ready()
        with smtplib.SMTP(HOST, port, timeout=10) as connection:
            yield connection


@pytest.fixture
def page(mailbox: Mailbox) -> FlaskClient:
    return create_app(LocalPages(mail_folder=mailbox.folder, write_key="key")).test_client()


def mail(
    subject: str = "Hello", html: str = "<p>Hi</p>", text: str = "Hi", to: str = "Ada <ada@a.example>"
) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Pebble & Fern <hello@p.example>"
    message["To"] = to
    message["Subject"] = subject
    message["Feedback-ID"] = "cart-abandoned:cart:marketing:tidings"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message


def test_a_mail_sent_by_smtp_is_in_the_list_with_sender_recipient_subject_and_rule(
    smtp: smtplib.SMTP, page: FlaskClient
) -> None:
    smtp.send_message(mail("You left something"))
    shown = page.get("/inbox").text
    for expected in ("Pebble &amp; Fern", "to ada@a.example", "You left something", "cart-abandoned"):
        assert expected in shown


def test_the_newest_mail_comes_first_and_the_list_can_be_asked_for_again(smtp: smtplib.SMTP, page: FlaskClient) -> None:
    smtp.send_message(mail("The first"))
    smtp.send_message(mail("The second"))
    shown = page.get("/inbox/list").text
    assert shown.index("The second") < shown.index("The first")
    assert "<html" not in shown, "only the list, for the page that is open already"


def test_a_mail_can_be_read_as_html_text_headers_and_raw(
    smtp: smtplib.SMTP, page: FlaskClient, mailbox: Mailbox
) -> None:
    smtp.send_message(mail(html="<p>In HTML: grüße</p>", text="In plain text: grüße"))
    address = f"/inbox/{mailbox.mails()[0].mail_id}"
    assert "In HTML: grüße" in page.get(f"{address}/body.html").text
    assert "In plain text: grüße" in page.get(f"{address}?view=text").text
    assert "hello@p.example" in page.get(f"{address}?view=headers").text
    assert "Content-Transfer-Encoding" in page.get(f"{address}?view=raw").text
    assert page.get(f"{address}/mail.eml").data == mailbox.mails()[0].raw


def test_the_bytes_of_a_mail_are_kept_as_they_came(smtp: smtplib.SMTP, mailbox: Mailbox) -> None:
    sent = b"Subject: x\r\n\r\n.leading dot\r\ncaf\xc3\xa9\r\n"
    smtp.sendmail("from@x.example", ["to@x.example"], sent)
    envelope = b"Return-Path: <from@x.example>\r\nDelivered-To: to@x.example\r\n"
    assert mailbox.mails()[0].raw == envelope + sent


def test_every_recipient_of_a_mail_gets_one(smtp: smtplib.SMTP, mailbox: Mailbox) -> None:
    smtp.send_message(mail(), to_addrs=["a@x.example", "b@x.example"])
    assert {one.recipient for one in mailbox.mails()} == {"a@x.example", "b@x.example"}


def test_a_mail_that_is_too_large_is_refused_and_not_kept(smtp: smtplib.SMTP, mailbox: Mailbox) -> None:
    with pytest.raises(smtplib.SMTPException):
        smtp.sendmail("from@x.example", ["to@x.example"], b"Subject: x\r\n\r\n" + b"x" * 900 * (MAX_BYTES // 900 + 1))
    assert mailbox.mails() == []


def test_the_html_of_a_mail_is_sandboxed_by_the_frame_and_again_by_its_own_policy(
    page: FlaskClient, mailbox: Mailbox
) -> None:
    mailbox.keep("from@x.example", ["to@x.example"], bytes(mail(html=EVIL)))
    address = f"/inbox/{mailbox.mails()[0].mail_id}"
    frame = page.get(address).text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame
    assert EVIL not in frame
    policy = page.get(f"{address}/body.html").headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy


def test_nothing_that_a_mail_says_is_taken_for_html(page: FlaskClient, mailbox: Mailbox) -> None:
    mailbox.keep("from@x.example", ["to@x.example"], bytes(mail(EVIL, text=EVIL, to=f'"{EVIL}" <a@x.example>')))
    mail_id = mailbox.mails()[0].mail_id
    pages = ["/inbox", "/inbox/list", *(f"/inbox/{mail_id}?view={view}" for view in ("html", "text", "headers", "raw"))]
    for path in pages:
        assert EVIL not in page.get(path).text, path


def test_links_of_a_mail_open_beside_the_inbox(page: FlaskClient, mailbox: Mailbox) -> None:
    html = '<html><head lang="en"><title>x</title></head><body></body></html>'
    mailbox.keep("from@x.example", ["to@x.example"], bytes(mail(html=html)))
    body = page.get(f"/inbox/{mailbox.mails()[0].mail_id}/body.html").text
    assert '<head lang="en"><base target="_blank"><title>' in body


def test_an_unknown_charset_does_not_hide_the_mail(page: FlaskClient, mailbox: Mailbox) -> None:
    content = b"Subject: odd\r\nContent-Type: text/plain; charset=klingon\r\n\r\nQapla'\r\n"
    mailbox.keep("from@x.example", ["to@x.example"], content)
    assert "Qapla" in page.get(f"/inbox/{mailbox.mails()[0].mail_id}").text


@pytest.mark.parametrize("mail_id", ["nothing", "..%2f..%2fsecret", "*", "%2fetc%2fpasswd"])
def test_an_id_that_is_no_mail_leads_nowhere(page: FlaskClient, mailbox: Mailbox, mail_id: str) -> None:
    (mailbox.folder.parent / "secret.eml").write_bytes(b"Subject: outside\r\n\r\n")
    for path in (f"/inbox/{mail_id}", f"/inbox/{mail_id}/body.html", f"/inbox/{mail_id}/mail.eml"):
        assert page.get(path).status_code == 404
