# Copy to terraform.tfvars, which git ignores, and make it yours.

project_id     = "pebble-and-fern-mail"
region         = "europe-west1"
pipeline_tag   = "2026-01-31"
mail_from      = "Pebble & Fern <hello@pebble-and-fern.example>"
postal_address = "Pebble & Fern, 4 Millstream Lane, Fernhollow"

# public_url         = "https://mail.pebble-and-fern.example"
# roles              = { support = "help@pebble-and-fern.example" }
# alert_emails       = ["oncall@pebble-and-fern.example"]
# firestore_location = "eur3"
# max_workers        = 5
# mail_connections   = 40
# warm_instances     = 1
# labels             = { team = "crm" }
