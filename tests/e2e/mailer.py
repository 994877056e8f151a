"""The mailer in a process of its own, with a short lease. `python -m tests.e2e.mailer PORT LEASE_SECONDS`."""

import sys
from datetime import timedelta

import flask
from werkzeug.serving import make_server

from functions.deliver import Mailer
from tidings import settings
from tidings.adapters.pubsub import Publisher
from tidings.adapters.smtp import SmtpSender
from tidings.adapters.stores import open_store


def main(port: int, lease_seconds: float) -> None:
    """Serve until killed."""
    chosen = settings.load()
    store, sender = open_store(chosen.store, chosen.project), SmtpSender(chosen.smtp_url)
    mailer = Mailer(chosen, store, Publisher(chosen.project), sender, lease=timedelta(seconds=lease_seconds))
    app = flask.Flask("mailer")
    app.add_url_rule("/deliver", view_func=lambda: mailer(flask.request), endpoint="deliver", methods=["POST"])
    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
