"""A real SMTP server (aiosmtpd) on a free port that keeps what it takes, and answers what a test wants it to answer."""

import asyncio
import logging
import threading
from collections import defaultdict
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import msgspec
from aiosmtpd.smtp import SMTP, Envelope, Session

VANISH = "vanish"
"""Instead of an answer, after `MAIL DATA` to a mail that was taken: the connection breaks."""


class Received(msgspec.Struct, frozen=True):
    """One mail as it came: the envelope and the bytes."""

    sender: str
    recipients: list[str]
    data: bytes

    @property
    def parsed(self) -> EmailMessage:
        """The mail as the standard library's newest parser reads it."""
        parsed = message_from_bytes(self.data, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


class MailServer:
    """Use it as a context manager.

    Attributes:
        mails: everything that was taken, in order.
        answers: per command (`MAIL`, `RCPT`, `DATA` for the command itself, `MAIL DATA` for the mail's content), the
            answers to give instead of "250", each used once.
        pause: seconds that it looks at a mail's content before it answers, as a server that scans it does.
        connections: how many were made to it.
        names: what each of them called itself.
        resets: how often somebody took back what they had said of a mail.
    """

    def __init__(self, **options: Any) -> None:
        logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd writes every line of every conversation there
        self.mails: list[Received] = []
        self.answers: defaultdict[str, list[str]] = defaultdict(list)
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._talking: set[_Scripted] = set()
        self.port = 0
        self.pause = 0.0
        self.connections = 0
        self.names: list[str] = []
        self.resets = 0

    @property
    def url(self) -> str:
        """The value of TIDINGS_MAIL_URL."""
        return f"smtp://127.0.0.1:{self.port}?tls=none"

    def __enter__(self) -> "MailServer":
        self._thread.start()
        assert self._ready.wait(10), "the mail server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def hang_up(self) -> None:
        """Break every connection, as a server that restarts does."""
        done = threading.Event()

        def abort() -> None:
            for one in self._talking:
                one.vanish()
            self._loop.call_soon(done.set)

        self._loop.call_soon_threadsafe(abort)
        assert done.wait(10)

    def _meet(self, one: "_Scripted") -> "_Scripted":
        self.connections += 1
        self._talking.add(one)
        return one

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        options = {"hostname": "mail.test", **self._options}
        tls = options.pop("ssl_context", None)
        listen = self._loop.create_server(lambda: self._meet(_Scripted(self, **options)), "127.0.0.1", 0, ssl=tls)
        server = self._loop.run_until_complete(listen)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class _Scripted(SMTP):
    """One connection; aiosmtpd calls its `handle_` methods (https://aiosmtpd.aio-libs.org/en/latest/handlers.html)."""

    def __init__(self, script: MailServer, **options: Any) -> None:
        super().__init__(self, **options)
        self._script = script

    def _next(self, command: str) -> str:
        scripted = self._script.answers[command]
        return scripted.pop(0) if scripted else "250 OK"

    async def handle_EHLO(  # noqa: N802
        self, _: SMTP, session: Session, __: Envelope, name: str, answers: list[str]
    ) -> list[str]:
        self._script.names.append(name)
        session.host_name = name
        return answers

    async def handle_MAIL(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802
        answer = self._next("MAIL")
        if answer == VANISH:
            self.vanish()
        envelope.mail_from = address if answer.startswith("2") else None
        return answer

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802
        answer = self._next("RCPT")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_RSET(self, _: SMTP, __: Session, ___: Envelope) -> str:  # noqa: N802
        self._script.resets += 1
        return "250 OK"

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        answer = self._next("DATA")
        if answer.startswith("250"):
            await super().smtp_DATA(arg)
        elif answer == VANISH:
            self.vanish()
        else:
            await self.push(answer)

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self._script.pause)
        answer = self._next("MAIL DATA")
        if answer.startswith("2") or answer == VANISH:
            assert isinstance(envelope.content, bytes)
            self._script.mails.append(Received(envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content))
        if answer == VANISH:
            self.vanish()
        return answer

    def vanish(self) -> None:
        """Break the connection."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
