"""The mailer in a process of its own, with a short lease. `python -m tests.e2e.mailer PORT LEASE_SECONDS`."""

import sys

import flask
from msgspec.structs import replace
from werkzeug.serving import make_server

from functions.deliver import Mailer
from tidings import settings
from tidings.adapters.pubsub import Publisher
from tidings.adapters.smtp import SmtpSender
from tidings.adapters.stores import open_store


def main(port: int, lease_seconds: int) -> None:
    """Serve until killed."""
    chosen = replace(settings.load(), lease_seconds=lease_seconds)  # less than production allows
    store, sender = open_store(chosen.store, chosen.project), SmtpSender(chosen.mail_url)
    mailer = Mailer(chosen, store, Publisher(chosen.project), sender)
    app = flask.Flask("mailer")
    app.add_url_rule("/deliver", view_func=lambda: mailer(flask.request), endpoint="deliver", methods=["POST"])
    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
