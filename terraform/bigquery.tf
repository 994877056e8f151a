# Every event as it was published, for replay, backtests and analysis. Pub/Sub writes it, no code of ours.

resource "google_bigquery_dataset" "this" {
  project     = local.project
  dataset_id  = "tidings"
  location    = var.region
  description = "Archive of Tidings. It holds personal data."

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_bigquery_table" "events" {
  project             = local.project
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "events"
  description         = "Events topic, message by message. Delivered at least once: deduplicate by attributes.messageId."
  deletion_protection = true

  time_partitioning {
    type          = "DAY"
    field         = "publish_time"
    expiration_ms = var.archive_days * 24 * 60 * 60 * 1000
  }

  # These columns are Pub/Sub's: https://cloud.google.com/pubsub/docs/bigquery#write_metadata
  # `data` is text and not JSON, because a number that BigQuery's JSON refuses would hold up the archive.
  schema = jsonencode([
    { name = "subscription_name", type = "STRING" },
    { name = "message_id", type = "STRING" },
    { name = "publish_time", type = "TIMESTAMP" },
    { name = "data", type = "STRING" },
    { name = "attributes", type = "JSON" },
  ])

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_pubsub_subscription" "archive" {
  project = local.project
  name    = "${google_pubsub_topic.this["events"].name}-archive"
  topic   = google_pubsub_topic.this["events"].id

  # What an anonymous id hands over to its person is the pipeline's own business. An event that followed its person is
  # there twice; the copy names the original in attributes.copyOf.
  filter = "attributes.schema = \"tidings.event.v1\""

  bigquery_config {
    table          = "${google_bigquery_table.events.project}.${google_bigquery_table.events.dataset_id}.${google_bigquery_table.events.table_id}"
    write_metadata = true
  }

  expiration_policy {
    ttl = ""
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_bigquery_table_iam_member.archive]
}

resource "google_bigquery_table_iam_member" "archive" {
  project    = local.project
  dataset_id = google_bigquery_table.events.dataset_id
  table_id   = google_bigquery_table.events.table_id
  role       = "roles/bigquery.dataEditor"
  member     = google_project_service_identity.pubsub.member
}
