# The pipeline: its template, its network and the job.

locals {
  # What `gcloud dataflow flex-template build` would write. All that a job runs with stands in here, and the object is
  # named by its content: so every change of it has a new path, and that is what updates the running job.
  template = jsonencode({
    image    = local.image
    sdkInfo  = { language = "PYTHON" }
    metadata = jsondecode(file("${local.root}/pipeline/metadata.json"))
    defaultEnvironment = {
      enableStreamingEngine = true
      ipConfiguration       = "WORKER_IP_PRIVATE"
      machineType           = var.worker_machine_type
      maxWorkers            = var.max_workers
      serviceAccountEmail   = google_service_account.this["pipeline"].email
      stagingLocation       = "gs://${google_storage_bucket.this["dataflow"].name}/staging"
      subnetwork            = "regions/${var.region}/subnetworks/${google_compute_subnetwork.workers.name}"
      tempLocation          = "gs://${google_storage_bucket.this["dataflow"].name}/temp"
    }
  })
}

# Workers have no address of their own on the internet; Google's APIs they reach all the same. With Streaming Engine
# they do not talk to each other, so no firewall has to be opened.
resource "google_compute_network" "this" {
  project                 = local.project
  name                    = "tidings"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "workers" {
  project                  = local.project
  region                   = var.region
  name                     = "tidings-workers"
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.worker_range
  private_ip_google_access = true
}

resource "google_storage_bucket_object" "template" {
  bucket       = google_storage_bucket.this["code"].name
  name         = "pipeline-${sha256(local.template)}.json"
  content      = local.template
  content_type = "application/json"

  lifecycle {
    create_before_destroy = true
  }
}

# A change of the template or of a parameter updates the running job: a new job takes over what is known of every person
# and every timer. A change that would replace the job instead loses both, and is refused.
#
# Never drain it. Draining moves the watermark to the end of time, which fires every waiting timer at once; the code
# then sends nothing, because they are not due, and what they waited for is lost.
resource "google_dataflow_flex_template_job" "pipeline" {
  provider = google-beta # see versions.tf

  project                 = local.project
  region                  = var.region
  name                    = "tidings"
  container_spec_gcs_path = "gs://${google_storage_bucket_object.template.bucket}/${google_storage_bucket_object.template.name}"
  on_delete               = "cancel"

  parameters = {
    events_subscription = google_pubsub_subscription.pipeline.id
    events_topic        = google_pubsub_topic.this["events"].id
    sends_topic         = google_pubsub_topic.this["sends"].id
    dead_letters_topic  = google_pubsub_topic.this["dead-letters"].id
    store               = local.store
    secret              = "${google_secret_manager_secret.this["TIDINGS_SECRET"].id}/versions/${local.secrets.TIDINGS_SECRET.version}"
    sdk_container_image = local.image
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.pipeline,
    google_project_iam_member.firestore,
    google_project_iam_member.pipeline,
    google_pubsub_subscription_iam_member.pipeline,
    google_pubsub_topic_iam_member.pipeline,
    google_pubsub_topic_iam_member.publisher,
    google_secret_manager_secret_iam_member.pipeline,
    google_storage_bucket_iam_member.pipeline,
  ]
}

resource "google_project_iam_member" "pipeline" {
  for_each = toset(["roles/dataflow.worker", "roles/dataflow.viewer"])

  project = local.project
  role    = each.key
  member  = google_service_account.this["pipeline"].member
}

resource "google_storage_bucket_iam_member" "pipeline" {
  bucket = google_storage_bucket.this["dataflow"].name
  role   = "roles/storage.objectAdmin"
  member = google_service_account.this["pipeline"].member
}

# Dataflow looks at a topic before it publishes.
resource "google_pubsub_topic_iam_member" "pipeline" {
  for_each = toset(local.publishers.pipeline)

  project = local.project
  topic   = google_pubsub_topic.this[each.key].name
  role    = "roles/pubsub.viewer"
  member  = google_service_account.this["pipeline"].member
}

# Options of a job can be read by all who may look at it, so it is given the name of the secret, and reads it itself: to
# know the addresses of people who were erased, when somebody brings them again.
resource "google_secret_manager_secret_iam_member" "pipeline" {
  project   = local.project
  secret_id = google_secret_manager_secret.this["TIDINGS_SECRET"].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this["pipeline"].member
}
