# Container images, and who builds them: Cloud Build makes the functions' on each deployment, and the pipeline's when it is
# told to (cloudbuild.yaml).

locals {
  image = "${var.region}-docker.pkg.dev/${local.project}/${google_artifact_registry_repository.this["pipeline"].repository_id}/pipeline:${var.pipeline_tag}"
}

resource "google_artifact_registry_repository" "this" {
  for_each = { pipeline = true, functions = false } # whether a tag always means the same image

  project       = local.project
  location      = var.region
  repository_id = "tidings-${each.key}"
  format        = "DOCKER"

  docker_config {
    immutable_tags = each.value
  }
}

resource "google_artifact_registry_repository_iam_member" "build" {
  for_each = google_artifact_registry_repository.this

  project    = local.project
  location   = var.region
  repository = each.value.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.this["build"].member
}

# The source of a build is in a bucket that Google makes, so this cannot be given for one bucket.
resource "google_project_iam_member" "build" {
  for_each = toset(["roles/logging.logWriter", "roles/storage.objectViewer"])

  project = local.project
  role    = each.key
  member  = google_service_account.this["build"].member
}

resource "google_artifact_registry_repository_iam_member" "pipeline" {
  project    = local.project
  location   = var.region
  repository = google_artifact_registry_repository.this["pipeline"].name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.this["pipeline"].member
}
