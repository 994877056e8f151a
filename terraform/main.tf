# What everything else stands on: APIs, identities and buckets.

locals {
  labels = merge({ application = "tidings" }, var.labels)

  # The project once its APIs are on: whatever names it by this local waits for them.
  project = one(toset(values(google_project_service.api)[*].project))

  identities = {
    collect  = "Front door: publishes events, reads the write keys"
    deliver  = "Mailer: reads people, keeps the ledger, reaches the mail server"
    engage   = "Pages behind the links of mails: leave, choose, confirm; opens and clicks"
    hooks    = "Webhooks: keep what is reported of mail, suppress addresses, publish events"
    pipeline = "Dataflow workers: read events, publish sends, write profiles"
    privacy  = "Requests about data: reads and erases people, publishes events, takes dead letters away"
    push     = "What Pub/Sub shows to the mailer"
    sweep    = "What Cloud Scheduler shows to the mailer, and to privacy"
    build    = "Builds the images of the functions and of the pipeline"
  }

  buckets = toset(["code", "dataflow"])
}

resource "google_project_service" "api" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "compute.googleapis.com",
    "dataflow.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ])

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false # others in the project may need it
}

data "google_project" "this" {
  project_id = local.project
}

resource "google_service_account" "this" {
  for_each = local.identities

  project      = local.project
  account_id   = "tidings-${each.key}"
  display_name = "Tidings ${each.key}"
  description  = each.value
}

# Pub/Sub acts under this name when it moves dead letters and writes the archive. Naming it here creates it.
resource "google_project_service_identity" "pubsub" {
  provider = google-beta

  project = local.project
  service = "pubsub.googleapis.com"
}

# Two, so that Dataflow's workers, who write to theirs, cannot touch the functions' source.
resource "google_storage_bucket" "this" {
  for_each = local.buckets

  project                     = local.project
  name                        = "${var.project_id}-tidings-${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
}
