"""Mail through a real mail server: what arrives is what left, and what cannot arrive comes back and is understood."""

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import NamedTuple

import dkim
import pytest
from msgspec.structs import replace

from tests.dkim_keys import PRIVATE, public_key
from tests.functions.desk import Desk
from tests.functions.mail_room import MailRoom, mail_room
from tests.functions.test_deliver_crashes import Worker
from tests.mail_server import Received
from tests.postfix import LOCAL, Postfix, missing, postfix
from tests.sends import a_decision
from tests.support import eventually, require
from tidings.adapters.pubsub_server import PubSubServer
from tidings.adapters.senders import open_sender
from tidings.mailing import breaker
from tidings.mailing.mail import Mail, Sender
from tidings.permission.consent import address_digest
from tidings.tokens import read_unsubscribe

LONG = "https://a-subdomain-with-a-long-name.of-an-even-longer-company-name.shop.example"


class Site(NamedTuple):
    """An installation that mails by a Postfix, behind which a mail server keeps what comes through."""

    room: MailRoom
    postfix: Postfix
    worker: Worker
    handed: list[Mail]

    def arrived(self, number: int = 1) -> Received:
        """The last of so many mails, once they have come."""
        return eventually(lambda: len(self.room.mail.mails) >= number and self.room.mail.mails[number - 1])


class Watched:
    """A sender that keeps what it is given."""

    def __init__(self, sender: Sender, handed: list[Mail]) -> None:
        self._sender = sender
        self._handed = handed
        self.provider = sender.provider
        self.close = sender.close

    def send(self, mail, leave):  # type: ignore[no-untyped-def]
        """Keep it, and pass it on."""
        self._handed.append(mail)
        self._sender.send(mail, leave)


@pytest.fixture(scope="module")
def pubsub() -> Iterator[str]:
    """One embedded Pub/Sub."""
    require(missing())
    with PubSubServer() as address:
        yield address


@pytest.fixture
def site(tmp_path: Path, pubsub: str) -> Iterator[Site]:
    """Signs what it sends, has links of more than 150 characters, and an address for each bounce."""
    with mail_room(tmp_path, pubsub) as room, postfix(room.mail.port) as server:
        room.settings = replace(
            room.settings,
            mail_url=server.url,
            public_url=LONG,
            return_path="bounces@shop.example",
            dkim_key=PRIVATE,
            dkim_selector="mail",
        )
        room.meet("u:ada", "ada@example.com")
        handed: list[Mail] = []
        sender = open_sender(room.settings)
        yield Site(room, server, Worker(room, sender=Watched(sender, handed)), handed)
        sender.close()


def header(name: str, data: bytes) -> bytes:
    """One header as it stands on the wire, with its continuation lines."""
    [found] = re.findall(rb"(?im)^%b:.*(?:\r\n[ \t].*)*\r\n" % name.encode(), data.partition(b"\r\n\r\n")[0] + b"\r\n")
    return bytes(found)


def test_a_marketing_mail_arrives_as_it_left_byte_for_byte(site: Site) -> None:
    """But for the trace that each mail server leaves on top of it (RFC 5321 section 4.4)."""
    assert site.worker.push(a_decision()) == 204
    arrived, (handed,) = site.arrived(), site.handed
    trace, signature, rest = (
        arrived.data[: arrived.data.index(b"DKIM-Signature:")],
        header("DKIM-Signature", arrived.data),
        arrived.data.partition(header("DKIM-Signature", arrived.data))[2],
    )
    assert rest == handed.data
    assert re.fullmatch(rb"Received: [^\r\n]+(\r\n\t[^\r\n]+)*\r\n", trace), "nothing else was put on top"
    assert arrived.data == trace + signature + rest
    assert (arrived.sender, arrived.recipients) == (handed.sender, ["ada@example.com"])


def test_it_has_what_mailbox_providers_ask_for(site: Site) -> None:
    """Text first, Date, a Message-ID of its own, and both List headers on one line each and in plain letters."""
    decisions = [a_decision(), a_decision(episode="e2")]
    assert [site.worker.push(one) for one in decisions] == [204, 204]
    both = [site.arrived(number) for number in (1, 2)]
    mail = both[0].parsed
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail["Date"].datetime
    assert {one.parsed["Message-ID"] for one in both} == {f"<{one.send_id}@shop.example>" for one in decisions}
    listed = header("List-Unsubscribe", both[0].data)
    url = re.fullmatch(rb"List-Unsubscribe: <(https://[!-;=?-~]{150,})>\r\n", listed)
    assert url, "unfolded, unencoded, and the whole of it"
    assert header("List-Unsubscribe-Post", both[0].data) == b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    token = read_unsubscribe(url[1].decode().rpartition("/u/")[2], site.room.settings.secret)
    assert token
    assert token.person == "u:ada"
    assert max(map(len, both[0].data.split(b"\r\n"))) <= 998


def test_its_signature_is_valid_over_both_list_headers(site: Site) -> None:
    """And over nothing less: with one letter of either changed it is not."""
    site.worker.push(a_decision())
    data = site.arrived().data
    signed = re.sub(rb"\s", b"", header("DKIM-Signature", data)).partition(b";h=")[2].partition(b";")[0].lower()
    assert {b"list-unsubscribe", b"list-unsubscribe-post", b"from", b"subject", b"date"} <= set(signed.split(b":"))
    assert dkim.verify(data, dnsfunc=public_key)
    for old, new in ((b"/u/", b"/x/"), (b"=One-Click", b"=Two-Click"), (b"Harbour", b"Harbor"), (b"Hello", b"Hullo")):
        assert old in data
        assert not dkim.verify(data.replace(old, new), dnsfunc=public_key)


def test_a_mail_to_nobody_comes_back_and_its_address_is_mailed_no_more(site: Site) -> None:
    """Postfix takes it, finds nobody there, and sends a report to the address that is this mail's own."""
    address = f"nobody-here@{LOCAL}"
    site.room.meet("u:gone", address)
    decision = a_decision("u:gone")
    assert site.worker.push(decision) == 204
    assert site.room.ending(decision)[0] == "sent"
    report = site.arrived()
    assert (report.sender, report.recipients) == ("<>", [f"bounces+{decision.send_id}@shop.example"])
    assert b"Status: 5.1.1" in report.data

    desk = Desk(site.room)
    assert desk.mail_in(report.data, report.recipients[0]) == 200
    assert site.room.store.suppression(address_digest(address, site.room.settings.secret))
    [feedback] = site.room.store.feedback("u:gone", decision.send_id)
    assert (feedback.kind, feedback.detail["status"], feedback.detail["permanent"]) == ("bounced", "5.1.1", True)
    counts = breaker.counts(site.room.store, "smtp", 3_600_000, desk.now)
    assert (counts["sent"], counts["hard_bounced"]) == (1, 1)
    second = a_decision("u:gone", episode="e2")
    site.worker.push(second)
    assert site.room.ending(second)[:2] == ("suppressed", "suppressed_address")


def test_a_report_is_a_mail_that_any_reader_understands(site: Site) -> None:
    """It quotes the mail that it is about, and that one is ours."""
    site.room.meet("u:gone", f"nobody-here@{LOCAL}")
    decision = a_decision("u:gone")
    site.worker.push(decision)
    report = message_from_bytes(site.arrived().data, policy=policy.default)
    assert (report.get_content_type(), report["Auto-Submitted"]) == ("multipart/report", "auto-replied")
    [returned] = [part for part in report.walk() if part.get_content_type() == "message/rfc822"]
    assert decision.send_id in returned.as_string()
