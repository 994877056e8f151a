"""The entry points of the Cloud Functions, and nothing else: each hands its request to the class that does the work.

One archive holds them all; a deployment picks one by name (`--entry-point collect`).
"""

import atexit
from functools import cache, partial
from weakref import WeakMethod

import flask
import functions_framework

from functions import clock
from functions.collect import Collector
from functions.deliver import Mailer
from functions.engage import Engage
from functions.hooks import Hooks
from functions.privacy import Privacy
from tidings import logs, settings
from tidings.adapters.pubsub import Publisher
from tidings.adapters.pubsub_sifting import sift
from tidings.adapters.senders import open_sender
from tidings.adapters.sns import Sns
from tidings.adapters.stores import open_store

logs.configure()


@cache
def _collector() -> Collector:
    """Built with the first request and kept for the life of the instance."""
    chosen = settings.load()
    return Collector(chosen, Publisher(chosen.project), clock.now)


@functions_framework.http
def collect(request: flask.Request) -> flask.Response:
    """The front door: Segment's HTTP tracking API, answered once Pub/Sub has the events."""
    return _collector()(request)


@cache
def _mailer() -> Mailer:
    chosen = settings.load()
    store = open_store(chosen.store, chosen.project)
    mailer = Mailer(chosen, store, Publisher(chosen.project), open_sender(chosen), clock.now)
    close = WeakMethod(mailer.close)  # not to be kept by this alone
    atexit.register(lambda: (last := close()) and last())
    return mailer


@functions_framework.http
def deliver(request: flask.Request) -> flask.Response:
    """The mailer: Pub/Sub pushes decisions here, and each ends once, as a mail or with a reason."""
    return _mailer()(request)


@cache
def _engage() -> Engage:
    chosen = settings.load()
    store = open_store(chosen.store, chosen.project)
    return Engage(chosen, store, Publisher(chosen.project), clock.now)


@functions_framework.http
def engage(request: flask.Request) -> flask.Response:
    """What recipients reach from a mail: pages to leave and to choose, opens and clicks."""
    return _engage()(request)


@cache
def _hooks() -> Hooks:
    chosen = settings.load()
    store = open_store(chosen.store, chosen.project)
    return Hooks(chosen, store, Publisher(chosen.project), Sns(), clock.now)


@functions_framework.http
def hooks(request: flask.Request) -> flask.Response:
    """What mail providers and mail servers tell us of our mail."""
    return _hooks()(request)


@cache
def _privacy() -> Privacy:
    chosen = settings.load()
    store = open_store(chosen.store, chosen.project)
    sieve = partial(sift, chosen.project, chosen.dead_letters_subscription)
    return Privacy(chosen, store, Publisher(chosen.project), sieve, clock.now)


@functions_framework.http
def privacy(request: flask.Request) -> flask.Response:
    """A copy of what is kept about somebody, and its end; for the operator alone."""
    return _privacy()(request)
