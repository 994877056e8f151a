"""The door to the mail server: the conversation about a mail (RFC 5321), and a precise account of how it failed."""

import re
import ssl
import time
from collections.abc import Callable, Mapping

from tidings.adapters import mail_url
from tidings.adapters.smtp_connections import Connection, Connections, Server, unreachable
from tidings.errors import (
    AddressError,
    DeadAddressError,
    RefusedError,
    TemporaryError,
    TidingsError,
    UnknownOutcomeError,
)
from tidings.feedback.bounces import Verdict, classify
from tidings.mailing.mail import Mail
from tidings.settings import SettingsError

REFUSALS: tuple[tuple[str, type[TidingsError] | None], ...] = (
    (r"(MAIL|RCPT|DATA) 4\d\d .*", TemporaryError),
    (r"(MAIL|RCPT|DATA) 530 .*", TemporaryError),  # it wants TLS or a login: the operator's fault, not the mail's
    (r"(RCPT|DATA) 5\d\d 5\..*", None),  # the enhanced status says it better, see `tidings.feedback.bounces`
    (r"RCPT 55[013] -", AddressError),  # no enhanced status: at RCPT these codes speak of the mailbox
    (r"(MAIL|RCPT|DATA) 5\d\d .*", RefusedError),  # 552 too large, 554 spam: the next mail may pass
    (r"DATA .*", UnknownOutcomeError),  # no answer that SMTP knows
    (r".*", TemporaryError),
)
"""Whose fault an answer is: `<command> <code> <enhanced status or ->`, the first match wins (RFC 5321, RFC 3463)."""

_FAULTS: Mapping[Verdict | None, type[TidingsError]] = {
    "dead_address": DeadAddressError,
    "address": AddressError,
    "refused": RefusedError,
    "temporary": TemporaryError,
}


class SmtpSender:
    """Sends mails to the server of one URL, several over one connection.

    Args:
        url: `smtp://[user:password@]host[:25]`, which must offer STARTTLS, or `smtps://...[:465]`. Options:
            `?tls=optional` uses STARTTLS if it is offered, `?tls=none` never (a mail catcher, a relay on this machine);
            `?ehlo=mail.example.com` is what we call ourselves instead of the domain of the mails' sender.
        timeout: seconds that any single step may take, but for the one after the mail's content.
        tls: who is trusted; by default whoever the system trusts.
        idle: seconds for which a connection waits for its next mail. Servers hang up after a minute or a few.
        most: mails on one connection.

    Raises:
        SettingsError: the URL cannot be used. It is not quoted, because it may hold a password.
    """

    provider = "smtp"

    def __init__(
        self,
        url: str,
        timeout: float = 10.0,
        tls: ssl.SSLContext | None = None,
        idle: float = 30.0,
        most: int = 100,
    ) -> None:
        self._connections = Connections(_server(url, timeout, tls), idle, most)

    def send(self, mail: Mail, leave: Callable[[], float]) -> None:
        """See `Sender.send`.

        A server may scan a mail for minutes before it answers (RFC 5321 section 4.5.3.2.6 asks for the patience of
        ten), and who gives up earlier cannot know what became of it.
        """
        connection, answer = self._begin(mail.sender)
        smtp = connection.smtp
        try:
            _accepted("MAIL", *answer)
            try:
                _accepted("RCPT", *connection.ask(smtp.rcpt, mail.recipient))
            except OSError as error:
                raise unreachable(error) from None
            until = leave() + time.monotonic()
            try:
                code, reply = connection.ask(smtp.docmd, "DATA")
            except OSError as error:
                raise unreachable(error) from None
            if 400 <= code < 600:
                _accepted("DATA", code, reply)
            if code != 354:  # nonsense, but nothing of the mail has left
                connection.over = True
                raise TemporaryError(f"the mail server says: DATA {code} -")
            _accepted("DATA", *_content(connection, mail.data, until))
            connection.unfinished = False
        finally:
            self._connections.give_back(connection)

    def close(self) -> None:
        """See `Sender.close`."""
        self._connections.close()

    def _begin(self, sender: str) -> tuple[Connection, tuple[int, bytes]]:
        """Say MAIL FROM on a connection that waits, or else on a new one; returns the answer too.

        One that waits may be dead, or the server may have had enough of it. Nothing was said of the mail then but who
        it is from, so a new one may begin again.
        """
        waiting = self._connections.take()
        if waiting:
            try:
                code, reply = waiting.begin(sender)
            except OSError:
                code, reply = 421, b""
            if not 400 <= code < 500:
                return waiting, (code, reply)
            waiting.over = True
            self._connections.give_back(waiting)
        fresh = self._connections.open(sender.rpartition("@")[2])
        try:
            return fresh, fresh.begin(sender)
        except OSError as error:
            self._connections.give_back(fresh)
            raise unreachable(error) from None


def _server(text: str, timeout: float, tls: ssl.SSLContext | None) -> Server:
    url = mail_url.read(text)
    secure = url.scheme == "smtps"
    half_a_login = bool(url.user) != bool(url.password)
    if url.scheme not in {"smtp", "smtps"} or url.plain or url.path or not url.host or half_a_login:
        raise SettingsError("TIDINGS_MAIL_URL must look like smtp://user:password@host:587 or smtps://...")
    mail_url.refuse_unknown_options(url, ("ehlo",) if secure else ("tls", "ehlo"))
    mode = url.options.get("tls", "required")
    if mode not in {"required", "optional", "none"}:
        raise SettingsError("the option tls of TIDINGS_MAIL_URL is one of: required, optional, none")
    if url.user and mode == "none":
        raise SettingsError("TIDINGS_MAIL_URL has a password, and tls=none would send it in the clear")
    return Server(
        host=url.host,
        port=url.port or (465 if secure else 25),
        secure=secure,
        tls=mode,
        user=url.user,
        password=url.password,
        name=url.options.get("ehlo", ""),
        timeout=timeout,
        context=tls or ssl.create_default_context(),
    )


def _content(connection: Connection, data: bytes, until: float) -> tuple[int, bytes]:
    """Send what the server now waits for, and return what it says to that. What fails here fails with the mail out."""
    data = (b"\n" + data).replace(b"\n.", b"\n..")[1:]  # section 4.5.2: the line that ends the mail is a dot
    smtp = connection.smtp
    try:
        assert smtp.sock
        smtp.sock.settimeout(_left(until))
        smtp.send(data + (b"" if data.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        smtp.sock.settimeout(_left(until))
        return connection.ask(smtp.getreply)
    except OSError as error:
        connection.over = True
        raise UnknownOutcomeError(f"no answer to the mail: {type(error).__name__}") from None


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.01)  # 0 would mean something else to a socket


def _accepted(command: str, code: int, reply: bytes) -> None:
    if 200 <= code < 300:
        return
    status = re.match(rb"[45]\.\d{1,3}\.\d{1,3}(?!\S)", reply)
    enhanced = status[0].decode() if status else "-"
    said = f"{command} {code} {enhanced}"
    fault = next(fault for pattern, fault in REFUSALS if re.fullmatch(pattern, said)) or _FAULTS[classify(enhanced)]
    raise fault(f"the mail server says: {said}")
