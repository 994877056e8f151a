"""The door to the mail server: one mail, one conversation (RFC 5321), and a precise account of how it failed."""

import re
import smtplib
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from tidings.errors import (
    AddressError,
    DeadAddressError,
    RefusedError,
    TemporaryError,
    TidingsError,
    UnknownOutcomeError,
)
from tidings.mail import Mail
from tidings.settings import SettingsError

REFUSALS: tuple[tuple[str, type[TidingsError]], ...] = (
    (r"(MAIL|RCPT|DATA) 4\d\d .*", TemporaryError),
    (r"(MAIL|RCPT|DATA) 530 .*", TemporaryError),  # it wants TLS or a login: the operator's fault, not the mail's
    (r"(RCPT|DATA) 5\d\d 5\.1\.(1|2|3|6|10)", DeadAddressError),  # no mailbox, no domain, bad syntax, moved, null MX
    (r"(RCPT|DATA) 5\d\d 5\.1\.[78]", RefusedError),  # these two of 5.1 are about the sender
    (r"(RCPT|DATA) 5\d\d (5\.1\.\d+|5\.2\.1)", AddressError),  # this address, perhaps not for ever
    (r"RCPT 55[013] -", AddressError),  # no enhanced status: at RCPT these codes speak of the mailbox
    (r"(MAIL|RCPT|DATA) 5\d\d .*", RefusedError),  # 5.7.x policy, 552 too large, 554 spam: the next mail may pass
    (r"DATA .*", UnknownOutcomeError),  # no answer that SMTP knows
    (r".*", TemporaryError),
)
"""Whose fault an answer is: `<command> <code> <enhanced status or ->`, the first match wins (RFC 5321, RFC 3463)."""


class SmtpSender:
    """Sends mails to the server of one URL, each over a connection of its own.

    Args:
        url: `smtp://[user:password@]host[:25]`, with STARTTLS when the server offers it, or `smtps://...[:465]`.
        timeout: seconds that any single step may take, but for the one after the mail's content.
        tls: who is trusted; by default whoever the system trusts.

    Raises:
        SettingsError: the URL cannot be used. It is not quoted, because it may hold a password.
    """

    provider = "smtp"

    def __init__(self, url: str, timeout: float = 10.0, tls: ssl.SSLContext | None = None) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise SettingsError("TIDINGS_MAIL_URL cannot be read") from None
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise SettingsError("TIDINGS_MAIL_URL must look like smtp://host:25 or smtps://user:password@host")
        self._secure = parts.scheme == "smtps"
        self._host, self._port = parts.hostname, port or (465 if self._secure else 25)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._timeout = timeout
        self._tls = tls or ssl.create_default_context()

    def send(self, mail: Mail, leave: Callable[[], float]) -> None:
        """See `Sender.send`.

        A server may scan a mail for minutes before it answers (RFC 5321 section 4.5.3.2.6 asks for the patience of
        ten), and who gives up earlier cannot know what became of it.
        """
        smtp = self._connect(mail.sender.rpartition("@")[2])
        try:
            try:
                _accepted("MAIL", *smtp.mail(mail.sender))
                _accepted("RCPT", *smtp.rcpt(mail.recipient))
            except OSError as error:
                raise _unreachable(error) from None
            until = leave() + time.monotonic()
            try:
                code, reply = smtp.docmd("DATA")
            except OSError as error:
                raise _unreachable(error) from None
            if 400 <= code < 600:
                _accepted("DATA", code, reply)
            if code != 354:  # nonsense, but nothing of the mail has left
                raise TemporaryError(f"the mail server says: DATA {code} -")
            _accepted("DATA", *_content(smtp, mail.data, until))
        finally:
            with suppress(OSError):
                smtp.putcmd("QUIT")  # its answer cannot matter any more, so nobody waits for it
            smtp.close()

    def close(self) -> None:
        """See `Sender.close`."""

    def _connect(self, own_name: str) -> smtplib.SMTP:
        """Connect, greet, encrypt and log in. Every failure is temporary: no mail was named yet."""
        try:
            smtp = self._dial(own_name)
        except OSError as error:
            raise _unreachable(error) from None
        try:
            smtp.ehlo_or_helo_if_needed()
            if not self._secure and smtp.has_extn("starttls"):
                smtp.starttls(context=self._tls)
                smtp.ehlo()
            elif self._user and not self._secure:
                raise smtplib.SMTPNotSupportedError("no STARTTLS, and a password does not travel in the clear")
            if self._user:
                smtp.login(self._user, self._password)
        except OSError as error:
            smtp.close()
            raise _unreachable(error) from None
        return smtp

    def _dial(self, own_name: str) -> smtplib.SMTP:
        if self._secure:
            return smtplib.SMTP_SSL(self._host, self._port, own_name, timeout=self._timeout, context=self._tls)
        return smtplib.SMTP(self._host, self._port, own_name, timeout=self._timeout)


def _content(smtp: smtplib.SMTP, data: bytes, until: float) -> tuple[int, bytes]:
    """Send what the server now waits for, and return what it says to that. What fails here fails with the mail out."""
    data = re.sub(rb"(?m)^\.", b"..", data)  # section 4.5.2: the line that ends the mail is a dot
    try:
        assert smtp.sock
        smtp.sock.settimeout(_left(until))
        smtp.send(data + (b"" if data.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        smtp.sock.settimeout(_left(until))
        return smtp.getreply()
    except OSError as error:
        raise UnknownOutcomeError(f"no answer to the mail: {type(error).__name__}") from None


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.01)  # 0 would mean something else to a socket


def _accepted(command: str, code: int, reply: bytes) -> None:
    if 200 <= code < 300:
        return
    status = re.match(rb"[45]\.\d{1,3}\.\d{1,3}(?!\S)", reply)
    said = f"{command} {code} {status[0].decode() if status else '-'}"
    raise next(fault for pattern, fault in REFUSALS if re.fullmatch(pattern, said))(f"the mail server says: {said}")


def _unreachable(error: OSError) -> TemporaryError:
    """Name the kind of failure only: servers like to repeat addresses in their answers."""
    detail = type(error).__name__
    if isinstance(error, smtplib.SMTPResponseException):
        detail += f" {error.smtp_code}"
    elif isinstance(error, smtplib.SMTPNotSupportedError):  # smtplib's own words, or ours above
        detail += f", {error}"
    return TemporaryError(f"cannot talk to the mail server: {detail}")
