"""The topics and subscriptions of the local run."""

from tidings.adapters.pubsub import ensure_subscription, ensure_topic
from tidings.settings import Settings

EVENTS_ACK_DEADLINE = 10
"""Seconds, the least that Pub/Sub allows: after a restart the pipeline waits so long for what was in flight."""


def events_subscription(settings: Settings) -> str:
    """What the pipeline reads from."""
    return f"{settings.events_topic}-pipeline"


def prepare(settings: Settings, deliver_url: str, backoff: tuple[float, float] | None = None) -> None:
    """Create what is not there yet, and point the push subscription at `deliver_url`.

    Args:
        settings: the names of everything.
        deliver_url: of the mailer.
        backoff: the shortest and the longest pause, in seconds, before a decision is pushed again.
    """
    # As in production, so that a dead worker's lease ends within the mailer's last deliveries.
    shortest, longest = backoff or (1, settings.lease_seconds // 4)
    project, sends, dead = settings.project, settings.sends_topic, settings.dead_letters_topic
    for topic in (settings.events_topic, sends, dead):
        ensure_topic(project, topic)
    ensure_subscription(project, events_subscription(settings), settings.events_topic, ack_deadline=EVENTS_ACK_DEADLINE)
    ensure_subscription(
        project,
        f"{sends}-deliver",
        sends,
        push_endpoint=deliver_url,
        ack_deadline=settings.lease_seconds,
        dead_letter_topic=dead,
        max_delivery_attempts=settings.delivery_attempts,
        min_backoff=shortest,
        max_backoff=longest,
    )
    ensure_subscription(project, settings.dead_letters_subscription, dead)
