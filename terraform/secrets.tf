# Secrets are made here empty. Their values are put in by hand, and never pass through Terraform or its state.

locals {
  secrets = {
    TIDINGS_WRITE_KEYS = { id = "tidings-write-keys", version = "latest" }
    TIDINGS_MAIL_URL   = { id = "tidings-mail-url", version = "latest" }
    # It signs unsubscribe links, which never expire, and digests the suppression list. A new value would break both,
    # so a second version must not come into force by being added.
    TIDINGS_SECRET = { id = "tidings-secret", version = "1" }
    # By what the webhooks of providers, and mail that comes back, are known.
    TIDINGS_HOOKS = { id = "tidings-hooks", version = "latest" }
    # Who does not sign leaves it empty.
    TIDINGS_DKIM_KEY = { id = "tidings-dkim-key", version = "latest" }
  }

  unused_secrets = var.dkim_selector == "" ? ["TIDINGS_DKIM_KEY"] : [] # no function could start with an empty one

  secret_readers = merge([
    for name, function in local.functions : {
      for secret in function.secrets : "${name}/${secret}" => { function = name, secret = secret }
    }
  ]...)
}

resource "google_secret_manager_secret" "this" {
  for_each = local.secrets

  project   = local.project
  secret_id = each.value.id

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = local.secret_readers

  project   = local.project
  secret_id = google_secret_manager_secret.this[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this[each.value.function].member
}
