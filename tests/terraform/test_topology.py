"""Production has the topics and subscriptions of a local run, and one subscription more: the archive."""

from typing import Any

import pytest
from google.cloud import pubsub_v1

from functions.dispatch import RESERVE
from tests.terraform.module import PROJECT, local, names, resources, subscription_name
from tidings import settings
from tidings.adapters.pubsub_server import PubSubServer
from tidings.local import topology
from tidings.settings import Settings

SUBSCRIPTIONS = resources("google_pubsub_subscription")
ONLY_IN_PRODUCTION = {"tidings-events-archive"}
LOCAL_ATTEMPTS = 33
"""Not the default, so that it shows where the number comes from."""


@pytest.fixture(scope="module")
def local_run() -> dict[str, Any]:
    """What a local run sets up: every topic's name, every subscription by name."""
    with pytest.MonkeyPatch.context() as patch, PubSubServer() as address:
        patch.setenv("PUBSUB_EMULATOR_HOST", address)
        chosen = Settings(project=PROJECT, delivery_attempts=LOCAL_ATTEMPTS)
        topology.prepare(chosen, "http://127.0.0.1:1/deliver")
        project = f"projects/{PROJECT}"
        with pubsub_v1.SubscriberClient() as subscriber:
            subscriptions = {one.name: one for one in subscriber.list_subscriptions(project=project)}
            publisher = pubsub_v1.PublisherClient()
            topics = {one.name for one in publisher.list_topics(project=project)}
            publisher.transport.close()
    return {"topics": topics, "subscriptions": subscriptions}


def full_name(resource: str) -> str:
    return f"projects/{PROJECT}/subscriptions/{subscription_name(resource)}"


def test_the_topics_are_the_same(local_run: dict[str, Any]):
    topics = resources("google_pubsub_topic")["this"]
    assert topics["for_each"] == '${toset(["events", "sends", "dead-letters"])}'
    assert topics["name"] == "tidings-${each.key}"
    production = {f"projects/{PROJECT}/topics/tidings-{key}" for key in ("events", "sends", "dead-letters")}
    assert production == local_run["topics"]


def test_the_subscriptions_are_the_same_but_for_the_archive(local_run: dict[str, Any]):
    production = {full_name(one) for one in SUBSCRIPTIONS}
    extra = {f"projects/{PROJECT}/subscriptions/{one}" for one in ONLY_IN_PRODUCTION}
    assert production - extra == set(local_run["subscriptions"])


@pytest.mark.parametrize("resource", [one for one in SUBSCRIPTIONS if subscription_name(one) not in ONLY_IN_PRODUCTION])
def test_a_subscription_reads_and_is_read_as_in_a_local_run(resource: str, local_run: dict[str, Any]):
    production, here = SUBSCRIPTIONS[resource], local_run["subscriptions"][full_name(resource)]
    assert names(production["topic"]) == here.topic
    written = production["ack_deadline_seconds"]
    assert here.ack_deadline_seconds == (local("lease_seconds") if written == "${local.lease_seconds}" else written)
    assert ("push_config" in production) == bool(here.push_config.push_endpoint)
    [dead] = production.get("dead_letter_policy", [{"dead_letter_topic": ""}])
    assert names(dead["dead_letter_topic"]) == here.dead_letter_policy.dead_letter_topic


def production_backoff() -> float:
    """For how many seconds a decision rests at most before it comes again."""
    [retry] = SUBSCRIPTIONS["deliver"]["retry_policy"]
    return float(retry["maximum_backoff"].rstrip("s"))


def test_production_is_the_more_patient_one(local_run: dict[str, Any]):
    here = local_run["subscriptions"][full_name("deliver")]
    assert local("delivery_attempts") >= here.dead_letter_policy.max_delivery_attempts
    assert production_backoff() >= here.retry_policy.maximum_backoff.total_seconds()


def test_the_mailer_is_told_how_often_it_is_asked(local_run: dict[str, Any]):
    """It has to end a decision before Pub/Sub moves it away without a word."""
    [dead] = SUBSCRIPTIONS["deliver"]["dead_letter_policy"]
    assert dead["max_delivery_attempts"] == "${local.delivery_attempts}"
    assert local("environment")["TIDINGS_DELIVERY_ATTEMPTS"] == "${tostring(local.delivery_attempts)}"
    assert settings.load({"TIDINGS_DELIVERY_ATTEMPTS": str(local("delivery_attempts"))})
    here = local_run["subscriptions"][full_name("deliver")]
    assert here.dead_letter_policy.max_delivery_attempts == LOCAL_ATTEMPTS


def test_the_lease_of_a_worker_that_died_in_the_last_try_ends_while_pubsub_still_delivers(local_run: dict[str, Any]):
    """Otherwise nobody would be left to give the decision up."""
    here = local_run["subscriptions"][full_name("deliver")]
    for backoff in (production_backoff(), here.retry_policy.maximum_backoff.total_seconds()):
        assert RESERVE * backoff > Settings().lease_seconds


@pytest.mark.parametrize("resource", SUBSCRIPTIONS)
def test_a_subscription_outlives_a_quiet_month(resource: str):
    assert SUBSCRIPTIONS[resource]["expiration_policy"] == [{"ttl": ""}]


def test_the_archive_has_the_columns_that_pubsub_writes():
    """https://cloud.google.com/pubsub/docs/bigquery#write_metadata."""
    assert SUBSCRIPTIONS["archive"]["bigquery_config"][0]["write_metadata"] is True
    schema = resources("google_bigquery_table")["events"]["schema"]
    for column in ("subscription_name", "message_id", "publish_time", "data", "attributes"):
        assert f'name = "{column}"' in schema
