# Profiles, consent, suppressions, the ledger, rules. The adapter says what it needs: tidings/adapters/firestore_store.py

locals {
  # Collections with no index of a single field but these. The rest is large, or rises with the clock, and an index on
  # a rising field bounds a collection to 500 writes a second.
  single_field_indexes = {
    activity = { at = "DESCENDING" }
    consent  = {}
    feedback = { at = "DESCENDING" }
    ledger   = { updated_at = "DESCENDING" }
    origins  = {}
    profiles = { person = "ASCENDING", email = "ASCENDING", joined = "ASCENDING" }
    versions = { at = "DESCENDING" }
  }

  indexed_fields = merge([
    for collection, fields in local.single_field_indexes : {
      for field, order in fields : "${collection}/${field}" => { collection = collection, field = field, order = order }
    }
  ]...)
}

resource "google_firestore_database" "this" {
  project     = local.project
  name        = var.firestore_database
  location_id = coalesce(var.firestore_location, var.region)
  type        = "FIRESTORE_NATIVE"

  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  deletion_policy                   = "ABANDON"

  lifecycle {
    prevent_destroy = true
  }
}

# The ledger of one person, newest first.
resource "google_firestore_index" "ledger_of_person" {
  project    = local.project
  database   = google_firestore_database.this.name
  collection = "ledger"

  fields {
    field_path = "person"
    order      = "ASCENDING"
  }

  fields {
    field_path = "updated_at"
    order      = "DESCENDING"
  }
}

# The ledger of one rule, newest first: what a shadow version is compared by.
resource "google_firestore_index" "ledger_of_rule" {
  project    = local.project
  database   = google_firestore_database.this.name
  collection = "ledger"

  fields {
    field_path = "rule_id"
    order      = "ASCENDING"
  }

  fields {
    field_path = "updated_at"
    order      = "DESCENDING"
  }
}

# Sends that wait for their turn, the longest due first.
resource "google_firestore_index" "ledger_waiting" {
  project    = local.project
  database   = google_firestore_database.this.name
  collection = "ledger"

  fields {
    field_path = "status"
    order      = "ASCENDING"
  }

  fields {
    field_path = "lease_until"
    order      = "ASCENDING"
  }
}

# What came back about one mail, newest first.
resource "google_firestore_index" "feedback_of_send" {
  project    = local.project
  database   = google_firestore_database.this.name
  collection = "feedback"

  fields {
    field_path = "send_id"
    order      = "ASCENDING"
  }

  fields {
    field_path = "at"
    order      = "DESCENDING"
  }
}

# The receipts of one person, newest first.
resource "google_firestore_index" "receipts_of_person" {
  project    = local.project
  database   = google_firestore_database.this.name
  collection = "receipts"

  fields {
    field_path = "person_digest"
    order      = "ASCENDING"
  }

  fields {
    field_path = "at"
    order      = "DESCENDING"
  }
}

resource "google_firestore_field" "unindexed" {
  for_each = local.single_field_indexes

  project    = local.project
  database   = google_firestore_database.this.name
  collection = each.key
  field      = "*"

  index_config {}
}

resource "google_firestore_field" "indexed" {
  for_each = local.indexed_fields

  project    = local.project
  database   = google_firestore_database.this.name
  collection = each.value.collection
  field      = each.value.field

  index_config {
    indexes {
      order       = each.value.order
      query_scope = "COLLECTION"
    }
  }
}

# Firestore deletes a document within a day of this instant.
resource "google_firestore_field" "expires_at" {
  for_each = toset(["activity", "feedback", "ledger", "origins", "tallies", "used"])

  project    = local.project
  database   = google_firestore_database.this.name
  collection = each.key
  field      = "expires_at"

  index_config {}
  ttl_config {}
}

# The front door has no business here.
resource "google_project_iam_member" "firestore" {
  for_each = toset(["deliver", "engage", "hooks", "pipeline", "privacy"])

  project = local.project
  role    = "roles/datastore.user"
  member  = google_service_account.this[each.key].member

  condition {
    title      = "Only the database of Tidings"
    expression = "resource.name == \"${google_firestore_database.this.id}\""
  }
}
