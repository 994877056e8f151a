# What wakes somebody up, and one page to look at then. Each alert says what to do: docs/deploying.md has more.

locals {
  working_subscriptions = [for one in [
    google_pubsub_subscription.archive,
    google_pubsub_subscription.deliver,
    google_pubsub_subscription.pipeline,
  ] : one.name]

  # `period` seconds of a series become one value by `align`, series of the same `by` become one by `reduce`, and the
  # alert fires when that stays above `above` for `lasting` seconds.
  alerts = {
    backlog = {
      title   = "Messages wait too long"
      filter  = "resource.type = \"pubsub_subscription\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.labels.subscription_id = one_of(\"${join("\", \"", local.working_subscriptions)}\")"
      align   = "ALIGN_MAX"
      reduce  = "REDUCE_MAX"
      by      = ["resource.label.subscription_id"]
      period  = 60
      above   = 600
      lasting = 300
      do      = "Look who reads the subscription that is named: -pipeline is the Dataflow job, -deliver the mailer (is the mail server up?), -archive BigQuery. Nothing is lost for 7 days; mails are late."
    }
    dead_letters = {
      title   = "Dead letters arrive"
      filter  = "resource.type = \"pubsub_topic\" AND metric.type = \"pubsub.googleapis.com/topic/send_message_operation_count\" AND resource.labels.topic_id = \"${google_pubsub_topic.this["dead-letters"].name}\""
      align   = "ALIGN_SUM"
      reduce  = "REDUCE_SUM"
      by      = []
      period  = 3600
      above   = var.dead_letters_an_hour
      lasting = 0
      do      = "`tidings dead-letters list` says how many of which step and reason. They are kept for 7 days. Mend what the reason names, then `tidings dead-letters replay`. docs/dead-letters.md"
    }
    given_up = {
      title   = "The mailer was given up on"
      filter  = "resource.type = \"pubsub_subscription\" AND metric.type = \"pubsub.googleapis.com/subscription/dead_letter_message_count\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.deliver.name}\""
      align   = "ALIGN_SUM"
      reduce  = "REDUCE_SUM"
      by      = []
      period  = 300
      above   = 0
      lasting = 0
      do      = "Pub/Sub has moved decisions to the dead letters because the mailer, for more than 14 hours, could not even record that it gives up: is it there, and the database? Mend that first, then `tidings dead-letters replay --step pubsub`: the ledger keeps each from going out twice. docs/dead-letters.md"
    }
    http_errors = {
      title   = "People and websites get errors"
      filter  = "resource.type = \"cloud_run_revision\" AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\" AND resource.labels.service_name = one_of(\"tidings-collect\", \"tidings-engage\")"
      align   = "ALIGN_SUM"
      reduce  = "REDUCE_SUM"
      by      = ["resource.label.service_name"]
      period  = 60
      above   = 5
      lasting = 180
      do      = "Read the logs of the function that is named. SDKs send again after a 503; who wants to unsubscribe is asked to try again in a minute."
    }
    mailer_errors = {
      title   = "Mails fail for good"
      filter  = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/log_entry_count\" AND metric.labels.severity = one_of(\"ERROR\", \"CRITICAL\") AND resource.labels.service_name = \"tidings-deliver\""
      align   = "ALIGN_SUM"
      reduce  = "REDUCE_SUM"
      by      = []
      period  = 300
      above   = 0
      lasting = 0
      do      = "Read the function's logs: a template that cannot be rendered, a mail that the server refuses, a decision that was given up after 14 hours of trying (is the mail server there?), or a crash. The decisions are in the ledger and in the dead letters: mend it, then `tidings dead-letters replay --step deliver`. docs/dead-letters.md"
    }
    reports_errors = {
      title   = "Reports about mail are not kept"
      filter  = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/log_entry_count\" AND metric.labels.severity = one_of(\"ERROR\", \"CRITICAL\") AND resource.labels.service_name = \"tidings-hooks\""
      align   = "ALIGN_SUM"
      reduce  = "REDUCE_SUM"
      by      = []
      period  = 300
      above   = 0
      lasting = 0
      do      = "Read the log of hooks. The store or Pub/Sub is away: a provider tries again, Amazon SES for a minute or an hour only. Or what a provider says cannot be read any more, and is kept as dead letters of the step hooks. Or the subscription to the topic of Amazon SES has ended, and nothing more is heard. docs/bounces-and-complaints.md"
    }
    reports_refused = {
      title   = "Reports about mail are refused"
      filter  = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/log_entry_count\" AND metric.labels.severity = \"WARNING\" AND resource.labels.service_name = \"tidings-hooks\""
      align   = "ALIGN_SUM"
      reduce  = "REDUCE_SUM"
      by      = []
      period  = 3600
      above   = 5
      lasting = 0
      do      = "The log of hooks says of which provider, and why: a key that was changed there and not in tidings-hooks (bad_signature, bad_credentials), a webhook that is set up there and not here (not_set_up), a clock that is wrong (too_old). Until it is mended, bounces and complaints are not heard, and mail goes on to those who sent them. Now and then one is somebody who tries. docs/bounces-and-complaints.md"
    }
    marketing_stopped = {
      title   = "Marketing mail is stopped"
      filter  = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/user/${google_logging_metric.marketing_stopped.name}\""
      align   = "ALIGN_SUM"
      reduce  = "REDUCE_SUM"
      by      = []
      period  = 300
      above   = 0
      lasting = 0
      do      = "Too much of the mail went to dead addresses or was called spam, so marketing mail waits; receipts and the like go on. `tidings sending status` says how much of what. Find out which list or rule it was, and only then say `tidings sending resume`. What has waited for longer than give_up_after is not sent any more. docs/sending-limits.md"
    }
    sweeps = {
      title   = "The mailer's sweeps fail"
      filter  = "resource.type = \"cloud_scheduler_job\" AND metric.type = \"logging.googleapis.com/log_entry_count\" AND metric.labels.severity = \"ERROR\" AND resource.labels.job_id = \"${google_cloud_scheduler_job.sweep.name}\""
      align   = "ALIGN_SUM"
      reduce  = "REDUCE_SUM"
      by      = []
      period  = 600
      above   = 5
      lasting = 0
      do      = "Once a minute Cloud Scheduler asks the mailer to wake the mail that waits and to watch the bounces. Read the job's log and that of the mailer: is the store away, or Pub/Sub? Nothing is lost, but what waits goes on waiting, and nothing stops by itself."
    }
    system_lag = {
      title   = "The pipeline is slow"
      filter  = "resource.type = \"dataflow_job\" AND metric.type = \"dataflow.googleapis.com/job/system_lag\" AND resource.labels.job_name = \"${google_dataflow_flex_template_job.pipeline.name}\""
      align   = "ALIGN_MAX"
      reduce  = "REDUCE_MAX"
      by      = []
      period  = 60
      above   = 120
      lasting = 300
      do      = "An element has been in the works for that long: more events than workers (raise the ceiling with `gcloud dataflow jobs update-options`), a bundle that fails again and again, or a store that is away. The job's logs say which."
    }
    watermark_age = {
      title   = "Time stands still in the pipeline"
      filter  = "resource.type = \"dataflow_job\" AND metric.type = \"dataflow.googleapis.com/job/data_watermark_age\" AND resource.labels.job_name = \"${google_dataflow_flex_template_job.pipeline.name}\""
      align   = "ALIGN_MAX"
      reduce  = "REDUCE_MAX"
      by      = []
      period  = 60
      above   = 600
      lasting = 300
      do      = "Rules that wait for something that does not happen are decided when the watermark passes: none of them is wrong, all of them are late. See the alert on system lag."
    }
  }
}

# Its own number, because it must not drown among other errors. https://cloud.google.com/logging/docs/logs-based-metrics
resource "google_logging_metric" "marketing_stopped" {
  project     = local.project
  name        = "marketing_mail_stopped"
  description = "The mailer has stopped marketing mail, because too much of it bounced or was called spam."
  filter      = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"tidings-deliver\" AND jsonPayload.message : \"Marketing mail is stopped\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  project      = local.project
  display_name = "Tidings: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  project               = local.project
  display_name          = "Tidings: ${each.value.title}"
  combiner              = "OR"
  notification_channels = values(google_monitoring_notification_channel.email)[*].id

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = "${each.value.lasting}s"

      aggregations {
        alignment_period     = "${each.value.period}s"
        per_series_aligner   = each.value.align
        cross_series_reducer = each.value.reduce
        group_by_fields      = each.value.by
      }
    }
  }

  documentation {
    content   = each.value.do
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "pipeline_is_gone" {
  project               = local.project
  display_name          = "Tidings: The pipeline does not run"
  combiner              = "OR"
  notification_channels = values(google_monitoring_notification_channel.email)[*].id

  conditions {
    display_name = "The job says nothing"

    condition_absent {
      filter   = local.alerts.system_lag.filter
      duration = "600s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content   = "No Dataflow job reports. Events wait in Pub/Sub for up to 7 days. Look at the job in the console; `terraform apply` starts a job that has failed anew, without what the old one knew of people."
    mime_type = "text/markdown"
  }
}

locals {
  charts = [
    { title = "Oldest message that waits (s)", filter = local.alerts.backlog.filter, align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = local.alerts.backlog.by },
    { title = "Dead letters", filter = local.alerts.dead_letters.filter, align = "ALIGN_SUM", reduce = "REDUCE_SUM", by = ["resource.label.topic_id"] },
    { title = "Requests by function and answer", filter = "resource.type = \"cloud_run_revision\" AND metric.type = \"run.googleapis.com/request_count\" AND resource.labels.service_name = monitoring.regex.full_match(\"tidings-.*\")", align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["resource.label.service_name", "metric.label.response_code_class"] },
    { title = "Time a request takes, 95th percentile (ms)", filter = "resource.type = \"cloud_run_revision\" AND metric.type = \"run.googleapis.com/request_latencies\" AND resource.labels.service_name = monitoring.regex.full_match(\"tidings-.*\")", align = "ALIGN_DELTA", reduce = "REDUCE_PERCENTILE_95", by = ["resource.label.service_name"] },
    { title = "Messages published", filter = "resource.type = \"pubsub_topic\" AND metric.type = \"pubsub.googleapis.com/topic/send_message_operation_count\" AND resource.labels.topic_id = monitoring.regex.full_match(\"tidings-.*\")", align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["resource.label.topic_id"] },
    { title = "The pipeline's lag (s)", filter = local.alerts.system_lag.filter, align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = ["resource.label.job_name"] },
    { title = "Age of the watermark (s)", filter = local.alerts.watermark_age.filter, align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = ["resource.label.job_name"] },
    { title = "What the pipeline counts", filter = "resource.type = \"dataflow_job\" AND metric.type = \"dataflow.googleapis.com/job/user_counter\" AND resource.labels.job_name = \"${google_dataflow_flex_template_job.pipeline.name}\"", align = "ALIGN_MAX", reduce = "REDUCE_SUM", by = ["metric.label.metric_name"] },
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = local.project

  dashboard_json = jsonencode({
    displayName = "Tidings"
    gridLayout = {
      columns = "2"
      widgets = [for chart in local.charts : {
        title = chart.title
        xyChart = {
          dataSets = [{
            plotType = "LINE"
            timeSeriesQuery = {
              timeSeriesFilter = {
                filter = chart.filter
                aggregation = {
                  alignmentPeriod    = "60s"
                  perSeriesAligner   = chart.align
                  crossSeriesReducer = chart.reduce
                  groupByFields      = chart.by
                }
              }
            }
          }]
        }
      }]
    }
  })
}
