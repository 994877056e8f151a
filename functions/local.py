"""All functions on one port of this machine, beside the local pages. `python -m functions.local --help`.

Every function is built by the Functions Framework from `main.py`, as it is when deployed; only the door is shared.
"""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import functions_framework
from werkzeug.serving import WSGIRequestHandler, make_server

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
    **dict.fromkeys(("u", "p", "c", "o", "l"), "engage"),
}
"""The first part of the path, and the function that gets the request. It sees the whole path, as in production."""

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
    server = make_server("127.0.0.1", arguments.port, mount(pages), threaded=True, request_handler=_Handler)
    _log.info("listening on port %d", server.port)
    server.serve_forever()


if __name__ == "__main__":
    main()
