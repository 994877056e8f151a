"""The mail catcher: an SMTP server that takes every mail and lets none out. `python -m tidings.local.catcher`."""

import argparse
import asyncio
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from tidings.local.mailbox import Mailbox

MAX_BYTES = 10 * 1024 * 1024


class Handler:
    """What aiosmtpd calls for every mail.

    Source: https://aiosmtpd.aio-libs.org/en/latest/handlers.html
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 aiosmtpd's name
        """Keep the mail before saying that it was taken."""
        assert isinstance(envelope.content, bytes)
        self._mailbox.keep(envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content)
        return "250 OK, kept"


async def serve(mailbox: Mailbox, port: int) -> None:
    """Serve SMTP on the loopback interface until cancelled."""

    def session() -> SMTP:
        return SMTP(Handler(mailbox), hostname="localhost", ident="Tidings catcher", data_size_limit=MAX_BYTES)

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tidings.local.catcher", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where to listen, on 127.0.0.1")
    parser.add_argument("--folder", type=Path, required=True, help="where to keep the mails")
    arguments = parser.parse_args()
    asyncio.run(serve(Mailbox(arguments.folder), arguments.port))


if __name__ == "__main__":
    main()
