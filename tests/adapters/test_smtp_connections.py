"""One connection carries many mails, and what happens between two of them loses none and doubles none."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.mail_server import VANISH, MailServer
from tests.sends import a_mail
from tidings.adapters.smtp import SmtpSender
from tidings.adapters.smtp_connections import Connections, Server
from tidings.errors import AddressError, RefusedError, StoreError, TemporaryError, UnknownOutcomeError


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as one:
        yield one


def send(sender: SmtpSender, recipient: str = "ada@example.com", leave: Callable[[], float] = lambda: 5.0) -> None:
    sender.send(a_mail(recipient=recipient), leave)


def test_mails_share_a_connection(server: MailServer) -> None:
    """Each is a transaction of its own: its own recipient, and nobody else's."""
    sender = SmtpSender(server.url)
    for number in range(5):
        send(sender, f"{number}@example.com")
    assert server.connections == 1
    assert [mail.recipients for mail in server.mails] == [[f"{number}@example.com"] for number in range(5)]
    assert server.resets == 0  # another question and answer for each mail


def test_what_was_said_of_a_mail_that_did_not_go_is_taken_back(server: MailServer) -> None:
    sender = SmtpSender(server.url)
    server.answers["RCPT"] = ["550 5.1.1 no such user"]
    with pytest.raises(AddressError):
        send(sender, "nobody@example.com")
    send(sender)
    assert (server.connections, server.resets) == (1, 1)
    assert [mail.recipients for mail in server.mails] == [["ada@example.com"]]


def test_a_connection_that_waited_too_long_is_thrown_away(server: MailServer) -> None:
    sender = SmtpSender(server.url, idle=0)
    send(sender)
    send(sender)
    assert (server.connections, len(server.mails)) == (2, 2)


def test_a_connection_carries_so_many_mails_and_no_more(server: MailServer) -> None:
    sender = SmtpSender(server.url, most=2)
    for _ in range(5):
        send(sender)
    assert (server.connections, len(server.mails)) == (3, 5)


def test_a_connection_that_died_while_it_waited_is_replaced_and_nobody_hears_of_it(server: MailServer) -> None:
    sender, told = SmtpSender(server.url), []

    def leave() -> float:
        told.append("about to leave")
        return 5.0

    send(sender, leave=leave)
    server.hang_up()
    send(sender, leave=leave)
    assert (server.connections, len(server.mails), len(told)) == (2, 2, 2)


@pytest.mark.parametrize("answer", [VANISH, "421 4.4.2 idle for too long", "451 4.7.0 too many mails in this session"])
def test_a_server_that_has_had_enough_of_a_connection_gets_a_new_one(server: MailServer, answer: str) -> None:
    """It may say so, or hang up, when it hears who the next mail is from: nothing else was said of it yet."""
    sender = SmtpSender(server.url)
    send(sender)
    server.answers["MAIL"] = [answer]
    send(sender)
    assert (server.connections, len(server.mails)) == (2, 2)


def test_a_new_connection_is_tried_once(server: MailServer) -> None:
    """A server that answers the same there means it."""
    sender = SmtpSender(server.url)
    send(sender)
    server.answers["MAIL"] = ["451 4.3.0 not now"] * 2
    with pytest.raises(TemporaryError, match=r"MAIL 451 4\.3\.0"):
        send(sender)
    assert (server.connections, len(server.mails)) == (2, 1)


def test_a_refused_sender_is_no_reason_for_a_new_connection(server: MailServer) -> None:
    sender = SmtpSender(server.url)
    send(sender)
    server.answers["MAIL"] = ["550 5.1.8 the sender's domain does not exist"]
    with pytest.raises(RefusedError):
        send(sender)
    assert server.connections == 1


def test_a_connection_that_breaks_later_than_that_is_not_replaced(server: MailServer) -> None:
    """With the mail half said, to begin again is the caller's decision."""
    sender = SmtpSender(server.url)
    send(sender)
    server.answers["DATA"] = [VANISH]
    with pytest.raises(TemporaryError) as raised:
        send(sender)
    assert (type(raised.value), server.connections) == (TemporaryError, 1)


def test_a_connection_that_breaks_with_the_mail_out_is_not_replaced(server: MailServer) -> None:
    """The server has the mail: a second try on a new connection would deliver it twice."""
    sender = SmtpSender(server.url)
    send(sender)
    server.answers["MAIL DATA"] = [VANISH]
    with pytest.raises(UnknownOutcomeError):
        send(sender)
    assert (server.connections, len(server.mails)) == (1, 2)
    send(sender)
    assert (server.connections, len(server.mails)) == (2, 3)


@pytest.mark.parametrize("command", ["RCPT", "DATA", "MAIL DATA"])
def test_a_refusal_leaves_nothing_behind_for_the_next_mail(server: MailServer, command: str) -> None:
    """The refused mail's sender and recipient are forgotten, and the connection stays."""
    sender = SmtpSender(server.url)
    server.answers[command] = ["550 5.1.0 refused"]
    with pytest.raises(AddressError):
        send(sender, "grace@example.com")
    send(sender)
    assert (server.connections, [mail.recipients for mail in server.mails]) == (1, [["ada@example.com"]])


def test_a_mail_that_was_called_back_leaves_nothing_behind_for_the_next(server: MailServer) -> None:
    sender = SmtpSender(server.url)

    def fail() -> float:
        raise StoreError("no store")

    with pytest.raises(StoreError):
        send(sender, "grace@example.com", fail)
    send(sender)
    assert (server.connections, [mail.recipients for mail in server.mails]) == (1, [["ada@example.com"]])


@pytest.mark.parametrize("answer", ["421 4.3.0 closing down", "650 what?"])
def test_a_server_that_says_goodbye_or_nonsense_is_not_talked_to_again(server: MailServer, answer: str) -> None:
    sender = SmtpSender(server.url)
    server.answers["MAIL DATA"] = [answer]
    with pytest.raises(TemporaryError):
        send(sender)
    send(sender)
    assert server.connections == 2


def test_the_patience_with_one_mail_is_not_that_with_the_next(server: MailServer) -> None:
    """Each step of the next conversation has its usual time again."""
    sender = SmtpSender(server.url)
    send(sender, leave=lambda: 0.2)
    server.pause = 0.4
    send(sender)
    assert (server.connections, len(server.mails)) == (1, 2)


def test_threads_have_a_connection_each_and_leave_them_to_whoever_comes_next(server: MailServer) -> None:
    sender, together = SmtpSender(server.url), threading.Barrier(4)

    def leave() -> float:
        together.wait(10)
        return 5.0

    for _ in range(2):
        threads = [threading.Thread(target=send, args=(sender, f"{n}@example.com", leave)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert (server.connections, len(server.mails)) == (4, 8)
    assert {mail.recipients[0] for mail in server.mails} == {f"{n}@example.com" for n in range(4)}


def test_the_end_of_a_mail_does_not_wait_for_its_beginning_to_be_acknowledged(server: MailServer) -> None:
    """Over TLS that made forty milliseconds for each mail, and so twenty mails a second."""
    where = Server("127.0.0.1", server.port, False, "none", "", "", "", 5.0, ssl.create_default_context())
    connection = Connections(where, idle=30, most=100).open("shop.example")
    assert connection.smtp.sock
    assert connection.smtp.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    connection.end()


def test_a_sender_that_is_closed_keeps_no_connection(server: MailServer) -> None:
    sender = SmtpSender(server.url)
    send(sender)
    sender.close()
    send(sender)
    send(sender)
    assert server.connections == 3
