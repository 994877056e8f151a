# Five functions from one archive. Each runs as itself; mailer and privacy have closed doors.

locals {
  # Known before the function is, so that the functions can be told. https://cloud.google.com/run/docs/triggering/https-request
  engage_url = "https://tidings-engage-${data.google_project.this.number}.${var.region}.run.app"
  public_url = coalesce(var.public_url, local.engage_url)

  store = "firestore:${google_firestore_database.this.name}"

  environment = {
    GOOGLE_CLOUD_PROJECT       = local.project
    TIDINGS_EVENTS_TOPIC       = google_pubsub_topic.this["events"].name
    TIDINGS_SENDS_TOPIC        = google_pubsub_topic.this["sends"].name
    TIDINGS_DEAD_LETTERS_TOPIC = google_pubsub_topic.this["dead-letters"].name
    TIDINGS_STORE              = local.store
    TIDINGS_PUBLIC_URL         = local.public_url
    TIDINGS_MAIL_FROM          = var.mail_from
    TIDINGS_POSTAL_ADDRESS     = var.postal_address
    TIDINGS_RETURN_PATH        = var.return_path
    TIDINGS_UNSUBSCRIBE_MAILTO = var.unsubscribe_mailto
    TIDINGS_DKIM_SELECTOR      = var.dkim_selector
    TIDINGS_ROLES              = join(",", [for role, address in var.roles : "${role}=${address}"])
    TIDINGS_DELIVERY_ATTEMPTS  = tostring(local.delivery_attempts)
    TIDINGS_LEASE_SECONDS      = tostring(local.lease_seconds)
  }

  mails_an_instance = 10 # at the same time

  functions = {
    collect = {
      description     = "The front door: takes events from websites, apps and servers."
      secrets         = ["TIDINGS_WRITE_KEYS"]
      invoker         = "allUsers" # who is not a browser shows a write key all the same
      ingress         = "ALLOW_ALL"
      concurrency     = 80
      min_instances   = var.warm_instances
      max_instances   = 50
      timeout_seconds = 30
    }
    deliver = {
      description     = "The mailer: brings each decision to its end, once."
      secrets         = ["TIDINGS_SECRET", "TIDINGS_MAIL_URL", "TIDINGS_DKIM_KEY"]
      invoker         = google_service_account.this["push"].member
      ingress         = "ALLOW_INTERNAL_ONLY" # Pub/Sub and Cloud Scheduler of this project count as internal
      concurrency     = local.mails_an_instance
      min_instances   = var.warm_instances
      max_instances   = floor(var.mail_connections / local.mails_an_instance)
      timeout_seconds = local.lease_seconds # who has not ended a decision by then has lost it
    }
    engage = {
      description     = "The pages behind unsubscribe links."
      secrets         = ["TIDINGS_SECRET"]
      invoker         = "allUsers" # the link itself is signed
      ingress         = "ALLOW_ALL"
      concurrency     = 40
      min_instances   = 0
      max_instances   = 10
      timeout_seconds = 30
    }
    hooks = {
      description     = "What providers and mail servers report of our mail."
      secrets         = ["TIDINGS_SECRET", "TIDINGS_HOOKS"]
      invoker         = "allUsers" # each provider proves who it is in its own way
      ingress         = "ALLOW_ALL"
      concurrency     = 20
      min_instances   = 0
      max_instances   = 10
      timeout_seconds = 60 # a request may bring a thousand events
    }
    privacy = {
      description     = "Requests of people about their data, carried out for the operator."
      secrets         = ["TIDINGS_SECRET"]
      invoker         = null # those of var.privacy_members
      ingress         = "ALLOW_ALL"
      concurrency     = 4 # a copy of everything may be large
      min_instances   = 0
      max_instances   = 2
      timeout_seconds = 300
    }
  }
}

resource "google_cloudfunctions2_function" "this" {
  for_each = local.functions

  project     = local.project
  location    = var.region
  name        = "tidings-${each.key}"
  description = each.value.description

  build_config {
    runtime           = "python311"
    entry_point       = each.key
    service_account   = google_service_account.this["build"].id
    docker_repository = google_artifact_registry_repository.this["functions"].id

    source {
      storage_source {
        bucket = google_storage_bucket_object.functions.bucket
        object = google_storage_bucket_object.functions.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.this[each.key].email
    ingress_settings                 = each.value.ingress
    available_cpu                    = "1"
    available_memory                 = "512Mi"
    max_instance_request_concurrency = each.value.concurrency
    min_instance_count               = each.value.min_instances
    max_instance_count               = each.value.max_instances
    timeout_seconds                  = each.value.timeout_seconds
    all_traffic_on_latest_revision   = true

    # The Functions Framework starts four threads for a CPU unless it is told: the rest of the requests would wait.
    environment_variables = merge(local.environment, { THREADS = tostring(each.value.concurrency) })

    dynamic "secret_environment_variables" {
      for_each = [for secret in each.value.secrets : secret if !contains(local.unused_secrets, secret)]

      content {
        key        = secret_environment_variables.value
        project_id = local.project
        secret     = google_secret_manager_secret.this[secret_environment_variables.value].secret_id
        version    = local.secrets[secret_environment_variables.value].version
      }
    }
  }

  depends_on = [
    google_secret_manager_secret_iam_member.reader,
    google_project_iam_member.build,
    google_artifact_registry_repository_iam_member.build,
  ]
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = { for name, function in local.functions : name => function if function.invoker != null }

  project  = local.project
  location = var.region
  name     = google_cloudfunctions2_function.this[each.key].name # its Cloud Run service has the same name
  role     = "roles/run.invoker"
  member   = each.value.invoker
}

resource "google_cloud_run_v2_service_iam_member" "privacy" {
  for_each = var.privacy_members

  project  = local.project
  location = var.region
  name     = google_cloudfunctions2_function.this["privacy"].name
  role     = "roles/run.invoker"
  member   = each.key
}

# Requests are logged with their address, and that of a link in a mail is all that it takes to unsubscribe somebody, for ever,
# or tells who read what. What went wrong is in the function's own lines, how often in the metrics. Of a project the sink `_Default` obeys this;
# other sinks need an exclusion of their own. https://cloud.google.com/logging/docs/routing/overview#exclusions
resource "google_logging_project_exclusion" "links_of_mails" {
  project     = local.project
  name        = "tidings-links-of-mails"
  description = "Requests to the pages behind the links of mails: their addresses are signed tokens."
  filter      = "(resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloudfunctions2_function.this["engage"].name}\" AND log_id(\"run.googleapis.com/requests\")) OR httpRequest.requestUrl : \"${local.public_url}/u/\" OR httpRequest.requestUrl : \"${local.public_url}/p/\" OR httpRequest.requestUrl : \"${local.public_url}/c/\" OR httpRequest.requestUrl : \"${local.public_url}/o/\" OR httpRequest.requestUrl : \"${local.public_url}/l/\""
}
