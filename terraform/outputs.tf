output "collect_url" {
  description = "What SDKs are given as their host."
  value       = google_cloudfunctions2_function.this["collect"].service_config[0].uri
}

output "hooks_url" {
  description = "What providers are given as the beginning of their webhook's address; /hooks/<provider> follows."
  value       = google_cloudfunctions2_function.this["hooks"].service_config[0].uri
}

output "privacy_url" {
  description = "Where those of `privacy_members` post requests about data; /privacy/export, /privacy/erase, ... follow."
  value       = google_cloudfunctions2_function.this["privacy"].service_config[0].uri
}

output "public_url" {
  description = "Where unsubscribe links lead. If it is not the function's own address, point the domain there."
  value       = local.public_url
}

output "secrets" {
  description = "Environment variable to the secret that wants a value."
  value       = { for name, secret in google_secret_manager_secret.this : name => secret.secret_id }
}

output "image" {
  description = "What the pipeline's image has to be called."
  value       = local.image
}

output "archive" {
  description = "The table of all events."
  value       = google_pubsub_subscription.archive.bigquery_config[0].table
}

output "job_id" {
  description = "The Dataflow job that runs now."
  value       = google_dataflow_flex_template_job.pipeline.job_id
}

output "dashboard" {
  description = "The page to look at."
  value       = "https://console.cloud.google.com/monitoring/dashboards/builder/${basename(google_monitoring_dashboard.this.id)}?project=${var.project_id}"
}
