"""Connections to one mail server, which outlive a mail: a handshake, TLS and a login cost more than the mail itself."""

import smtplib
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import msgspec

from tidings.errors import TemporaryError


class Server(msgspec.Struct, frozen=True):
    """Who is at the other end, and what is expected of it.

    Attributes:
        secure: TLS from the first byte; without it, `tls` says what STARTTLS is.
        tls: `required`, `optional` (if it is offered) or `none`.
        name: what we call ourselves in EHLO; empty for the domain of the first mail's sender.
        timeout: seconds that any single step may take.
        context: who is trusted.
    """

    host: str
    port: int
    secure: bool
    tls: str
    user: str
    password: str
    name: str
    timeout: float
    context: ssl.SSLContext


class Connection:
    """One connection, which one thread uses at a time.

    Attributes:
        smtp: the conversation.
        mails: how many it has carried, or begun to.
        over: it is not to be used again: it broke, or the server has said goodbye or nonsense.
        unfinished: the server still remembers a mail that did not go.
        idle_since: when it was last used, by the monotonic clock.
    """

    def __init__(self, smtp: smtplib.SMTP, timeout: float) -> None:
        self.smtp = smtp
        self.mails = 0
        self.over = False
        self.unfinished = False
        self.idle_since = 0.0
        self._timeout = timeout

    def begin(self, sender: str) -> tuple[int, bytes]:
        """Say who the mail is from; returns the answer."""
        if self.smtp.sock:
            self.smtp.sock.settimeout(self._timeout)  # the last mail may have changed it
        if self.unfinished:
            self.ask(self.smtp.rset)
        self.mails += 1
        self.unfinished = True
        return self.ask(self.smtp.mail, sender)

    def ask(self, command: Callable[..., tuple[int, bytes]], *arguments: str) -> tuple[int, bytes]:
        """Say something and return the answer.

        Raises:
            OSError: the connection broke, or nobody answered in time.
        """
        try:
            code, reply = command(*arguments)
        except OSError:
            self.over = True
            raise
        if code == 421 or not 200 <= code < 600:
            self.over = True
        return code, reply

    def end(self) -> None:
        """Say goodbye. The answer cannot matter any more, so nobody waits for it."""
        with suppress(OSError):
            self.smtp.putcmd("QUIT")
        self.smtp.close()


class Connections:
    """The connections to one server that wait for their next mail. Any number of threads may use it.

    Args:
        server: the one.
        idle: seconds after which a connection that waits is thrown away: the server may have dropped it long ago.
        most: mails on one connection. Servers have such limits; Google's relay ends at about a hundred.
    """

    def __init__(self, server: Server, idle: float, most: int) -> None:
        self._server = server
        self._idle = idle
        self._most = most
        self._waiting: deque[Connection] = deque()  # the one that was used last is on the right
        self._closed = False
        self._lock = threading.Lock()

    def take(self) -> Connection | None:
        """The connection that was used last, unless that is too long ago."""
        with self._lock:
            stale = self._remove_stale()
            connection = self._waiting.pop() if self._waiting else None
        for one in stale:
            one.end()
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep it for the next mail, or end it if it has served."""
        connection.idle_since = time.monotonic()
        with self._lock:
            stale = self._remove_stale()
            if connection.over or connection.mails >= self._most or self._closed:
                stale.append(connection)
            else:
                self._waiting.append(connection)
        for one in stale:
            one.end()

    def close(self) -> None:
        """End those that wait, and the others when they come back."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            one.end()

    def open(self, own_name: str) -> Connection:
        """Connect, greet, encrypt and log in. Every failure is temporary: no mail was named yet.

        Raises:
            TemporaryError: it cannot be done now, or not as securely as it has to be.
        """
        server = self._server
        try:
            smtp = self._dial(server.name or own_name)
        except OSError as error:
            raise unreachable(error) from None
        try:
            assert smtp.sock
            # Whatever is said is said in one piece. The last part of a mail would otherwise wait for the other side to
            # acknowledge what came before it, which takes 40 ms on a connection that is not new.
            smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            smtp.ehlo_or_helo_if_needed()
            if not server.secure and server.tls != "none":
                self._encrypt(smtp)
            if server.user:
                smtp.login(server.user, server.password)
        except OSError as error:
            smtp.close()
            raise unreachable(error) from None
        return Connection(smtp, server.timeout)

    def _remove_stale(self) -> list[Connection]:
        stale, now = [], time.monotonic()
        while self._waiting and now - self._waiting[0].idle_since >= self._idle:
            stale.append(self._waiting.popleft())
        return stale

    def _dial(self, own_name: str) -> smtplib.SMTP:
        server = self._server
        if server.secure:
            return smtplib.SMTP_SSL(server.host, server.port, own_name, timeout=server.timeout, context=server.context)
        return smtplib.SMTP(server.host, server.port, own_name, timeout=server.timeout)

    def _encrypt(self, smtp: smtplib.SMTP) -> None:
        if smtp.has_extn("starttls"):
            smtp.starttls(context=self._server.context)
            smtp.ehlo()
        elif self._server.tls == "required":
            raise smtplib.SMTPNotSupportedError("it offers no STARTTLS, and mail may not travel in the clear")
        elif self._server.user:
            raise smtplib.SMTPNotSupportedError("it offers no STARTTLS, and a password may not travel in the clear")


def unreachable(error: OSError) -> TemporaryError:
    """Name the kind of failure only: servers like to repeat addresses in their answers."""
    detail = type(error).__name__
    if isinstance(error, smtplib.SMTPResponseException):
        detail += f" {error.smtp_code}"
    elif isinstance(error, smtplib.SMTPNotSupportedError):  # smtplib's own words, or ours above
        detail += f", {error}"
    return TemporaryError(f"cannot talk to the mail server: {detail}")
