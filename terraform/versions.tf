terraform {
  required_version = ">= 1.5"

  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = "~> 2.4"
    }
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 8.0"
    }

    # Flex Template jobs and service identities are there only. From 6.40 on it reads back what the workers of a job run
    # with, and sends that along with the next update: they would start with the image that the update is to replace.
    # Up to 6.39 the template alone decides. See `resource_dataflow_flex_template_job.go`, Read, before you lift this.
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 6.39.0"
    }
  }

  # The bucket is named when Terraform is initialised: -backend-config=bucket=...
  backend "gcs" {
    prefix = "tidings"
  }
}

provider "google" {
  project        = var.project_id
  region         = var.region
  default_labels = local.labels
}

provider "google-beta" {
  project        = var.project_id
  region         = var.region
  default_labels = local.labels
}
