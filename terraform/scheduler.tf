# What nobody asks for: once a minute the mailer looks who has waited long enough, and whether too much bounces.

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
