"""All functions on one port of this machine, beside the local pages. `python -m functions.local --help`.

Every function is built by the Functions Framework from `main.py`, as it is when deployed; only the door is shared.
"""

import argparse
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import functions_framework
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client

from functions import clock
from tidings import logs, settings
from tidings.local.clock_file import ClockFile
from tidings.local.web import LocalPages, create_app

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SOURCE = Path(__file__).parent / "main.py"
MOUNTS = {
    "v1": "collect",
    "beacon": "collect",
    "sourceConfig": "collect",
    "deliver": "deliver",
    "hooks": "hooks",
    "privacy": "privacy",
    **dict.fromkeys(("u", "p", "c", "o", "l"), "engage"),
}
"""The first part of the path, and the function that gets the request. It sees the whole path, as in production."""

SWEEP_EVERY = 5.0
"""Seconds. In production Cloud Scheduler asks once a minute; nobody at a desk wants to wait for so long."""

_log = logging.getLogger("functions.local")


def mount(pages: "WSGIApplication") -> "WSGIApplication":
    """One WSGI application: the functions at their paths, and `pages` everywhere else."""
    functions = {
        target: functions_framework.create_app(target=target, source=str(SOURCE), signature_type="http")  # type: ignore[no-untyped-call]
        for target in dict.fromkeys(MOUNTS.values())
    }

    def dispatch(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        first = environ.get("PATH_INFO", "").lstrip("/").partition("/")[0]
        application: WSGIApplication = functions[MOUNTS[first]] if first in MOUNTS else pages
        return application(environ, start_response)

    return dispatch


class _Handler(WSGIRequestHandler):
    """Logs what was asked for without the rest of the path: it holds ids and the tokens of unsubscribe links."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        first = self.path.lstrip("/").partition("?")[0].partition("/")[0]
        _log.info("%s /%s %s", self.command, first, code)


def _sweep(application: "WSGIApplication") -> None:
    """Ask the mailer, for as long as this process runs, to look after the mail that waits."""
    client, pause = Client(application), threading.Event()
    while not pause.wait(SWEEP_EVERY):
        client.post("/deliver/sweep")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m functions.local", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where to listen, on 127.0.0.1")
    parser.add_argument("--mail-folder", type=Path, required=True, help="where the mail catcher keeps its mails")
    parser.add_argument("--time-scale", type=float, default=1.0, help="how many times faster than life the rules run")
    parser.add_argument("--clock", type=Path, help="a file that says what time it is, for a simulation")
    arguments = parser.parse_args()
    if arguments.clock:
        clock.follow(ClockFile(arguments.clock).now)
    logs.configure()
    pages = create_app(
        LocalPages(
            mail_folder=arguments.mail_folder,
            write_key=settings.load().write_keys[0],
            time_scale=arguments.time_scale,
            simulated=arguments.clock is not None,
        )
    )
    application = mount(pages)
    if not arguments.clock:  # a story has no time for mail that waits
        threading.Thread(target=_sweep, args=(application,), daemon=True).start()
    server = make_server("127.0.0.1", arguments.port, application, threaded=True, request_handler=_Handler)
    _log.info("listening on port %d", server.port)
    server.serve_forever()


if __name__ == "__main__":
    main()
