# The same topics and subscriptions as a local run has (tidings/local/topology.py), plus the archive in bigquery.tf.

locals {
  # Who may publish what. Nobody may publish anything else.
  publishers = {
    collect  = ["events", "dead-letters"]
    engage   = ["events"]
    deliver  = ["events", "sends", "dead-letters"] # to sends: what has waited for its turn
    hooks    = ["events", "dead-letters"]
    privacy  = ["events"]
    pipeline = ["events", "sends", "dead-letters"] # to events: what an anonymous id hands over to its person
  }

  # How often a decision is delivered at most. The mailer is told, and ends it a few deliveries earlier, with a reason.
  delivery_attempts = 100

  # How long one worker of the mailer may work on a decision; so long waits one whose worker has died.
  lease_seconds = 120

  publications = merge([
    for who, topics in local.publishers : {
      for topic in topics : "${who}/${topic}" => { who = who, topic = topic }
    }
  ]...)
}

resource "google_pubsub_topic" "this" {
  for_each = toset(["events", "sends", "dead-letters"])

  project = local.project
  name    = "tidings-${each.key}"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publications

  project = local.project
  topic   = google_pubsub_topic.this[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.this[each.value.who].member
}

# Dataflow reads from here. What it cannot use it dead-letters itself, with the reason.
resource "google_pubsub_subscription" "pipeline" {
  project              = local.project
  name                 = "${google_pubsub_topic.this["events"].name}-pipeline"
  topic                = google_pubsub_topic.this["events"].id
  ack_deadline_seconds = 10

  expiration_policy {
    ttl = "" # never, however quiet it is
  }

  lifecycle {
    prevent_destroy = true
  }
}

# One decision, one request to the mailer, until it answers that the decision has ended. The deadline is the lease of a
# decision and the function's timeout: asking again earlier would only find that somebody is at work.
resource "google_pubsub_subscription" "deliver" {
  project              = local.project
  name                 = "${google_pubsub_topic.this["sends"].name}-deliver"
  topic                = google_pubsub_topic.this["sends"].id
  ack_deadline_seconds = local.lease_seconds

  push_config {
    push_endpoint = google_cloudfunctions2_function.this["deliver"].service_config[0].uri

    oidc_token {
      service_account_email = google_service_account.this["push"].email
      audience              = google_cloudfunctions2_function.this["deliver"].service_config[0].uri
    }
  }

  # Patience for a mail server that is down for a night: 14 hours. A local run gives up after minutes.
  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.this["dead-letters"].id
    max_delivery_attempts = local.delivery_attempts
  }

  expiration_policy {
    ttl = ""
  }

  lifecycle {
    prevent_destroy = true
  }
}

# Keeps dead letters until a person has looked: a topic without a subscription keeps nothing.
resource "google_pubsub_subscription" "inspect" {
  project              = local.project
  name                 = "${google_pubsub_topic.this["dead-letters"].name}-inspect"
  topic                = google_pubsub_topic.this["dead-letters"].id
  ack_deadline_seconds = 60

  message_retention_duration = "604800s" # the most that Pub/Sub keeps: 7 days

  expiration_policy {
    ttl = ""
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_pubsub_subscription_iam_member" "pipeline" {
  for_each = toset(["roles/pubsub.subscriber", "roles/pubsub.viewer"])

  project      = local.project
  subscription = google_pubsub_subscription.pipeline.name
  role         = each.key
  member       = google_service_account.this["pipeline"].member
}

# Whoever is forgotten takes their dead letters along.
resource "google_pubsub_subscription_iam_member" "privacy" {
  project      = local.project
  subscription = google_pubsub_subscription.inspect.name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.this["privacy"].member
}

# To dead-letter a message, Pub/Sub publishes it to one topic and takes it out of the subscription of the other.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  project = local.project
  topic   = google_pubsub_topic.this["dead-letters"].name
  role    = "roles/pubsub.publisher"
  member  = google_project_service_identity.pubsub.member
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  project      = local.project
  subscription = google_pubsub_subscription.deliver.name
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.pubsub.member
}

# Pub/Sub signs the token that the mailer asks for in the name of `push`, and of nobody else.
resource "google_service_account_iam_member" "push" {
  service_account_id = google_service_account.this["push"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_project_service_identity.pubsub.member
}
