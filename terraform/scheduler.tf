# What nobody asks for: once a minute the mailer looks who has waited long enough, and whether too much bounces; once a day
# the dead letters of people who have been forgotten are taken away.

resource "google_cloud_scheduler_job" "sweep" {
  project          = local.project
  region           = var.region
  name             = "tidings-sweep"
  description      = "Wakes the mail that waits for its turn, and watches the bounces."
  schedule         = "* * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "${local.lease_seconds}s"

  http_target {
    http_method = "POST"
    uri         = "${google_cloudfunctions2_function.this["deliver"].service_config[0].uri}/sweep"

    oidc_token {
      service_account_email = google_service_account.this["sweep"].email
      audience              = google_cloudfunctions2_function.this["deliver"].service_config[0].uri
    }
  }

  retry_config {
    retry_count = 0 # the next minute is soon enough
  }
}

resource "google_cloud_run_v2_service_iam_member" "sweep" {
  project  = local.project
  location = var.region
  name     = google_cloudfunctions2_function.this["deliver"].name
  role     = "roles/run.invoker"
  member   = google_service_account.this["sweep"].member
}

# Letters come in after their person has gone, too, and who erases themselves from a page leaves theirs.
resource "google_cloud_scheduler_job" "letters" {
  project          = local.project
  region           = var.region
  name             = "tidings-letters"
  description      = "Takes the dead letters of forgotten people away."
  schedule         = "17 3 * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "300s"

  http_target {
    http_method = "POST"
    uri         = "${google_cloudfunctions2_function.this["privacy"].service_config[0].uri}/privacy/letters"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode("{}")

    oidc_token {
      service_account_email = google_service_account.this["sweep"].email
      audience              = google_cloudfunctions2_function.this["privacy"].service_config[0].uri
    }
  }

  retry_config {
    retry_count = 3
  }
}

resource "google_cloud_run_v2_service_iam_member" "letters" {
  project  = local.project
  location = var.region
  name     = google_cloudfunctions2_function.this["privacy"].name
  role     = "roles/run.invoker"
  member   = google_service_account.this["sweep"].member
}
