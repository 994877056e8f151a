variable "project_id" {
  description = "The Google Cloud project that everything lives in. One project, one Tidings."
  type        = string
}

variable "region" {
  description = "Where everything runs and every copy of the data stays, for example europe-west1."
  type        = string
}

variable "pipeline_tag" {
  description = "Tag of the pipeline's image, for example the commit it was built from. A new tag updates the running job."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.pipeline_tag)) && var.pipeline_tag != "latest"
    error_message = "It must be an image tag other than `latest`: by its change Terraform sees that there is a new image."
  }
}

variable "mail_from" {
  description = "The From header of every mail: `Name <address>`."
  type        = string

  validation {
    condition     = can(regex("^[^<>]*<[^<>@ ]+@[^<>@ ]+>$", var.mail_from))
    error_message = "It must look like `Pebble & Fern <hello@pebble-and-fern.example>`."
  }
}

variable "return_path" {
  description = "Where bounces of direct SMTP go: bounces@mail.example.com. Its mail must reach the function hooks at /hooks/inbound."
  type        = string
  default     = ""
}

variable "unsubscribe_mailto" {
  description = "An address to unsubscribe by mail, beside the link. Its mail must reach the function hooks at /hooks/inbound."
  type        = string
  default     = ""
}

variable "dkim_selector" {
  description = "Signs mail that leaves by SMTP: the public key is at <selector>._domainkey of the domain of mail_from. Empty when the provider signs."
  type        = string
  default     = ""
}

variable "postal_address" {
  description = "The sender's street address. The law of many countries wants it in every marketing mail."
  type        = string

  validation {
    condition     = trimspace(var.postal_address) != ""
    error_message = "A marketing mail without a postal address may not be sent."
  }
}

variable "roles" {
  description = "Who else a rule may write to, and where: { support = \"help@...\" }."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for role, address in var.roles : can(regex("^[^=,]+$", role)) && can(regex("^[^=, ]+@[^=, ]+$", address))])
    error_message = "A role is a word, and its value one email address."
  }
}

variable "public_url" {
  description = "How recipients reach the unsubscribe pages, on a domain of yours that is mapped to the function `engage`. Empty: its run.app address."
  type        = string
  default     = ""

  validation {
    condition     = var.public_url == "" || can(regex("^https://[^/]+(/.*[^/])?$", var.public_url))
    error_message = "It must begin with https:// and must not end in a slash."
  }
}

variable "alert_emails" {
  description = "Who hears of alerts."
  type        = set(string)
  default     = []
}

variable "firestore_location" {
  description = "A Firestore location such as eur3 or nam5, for more than one region. Empty: the region. It can never be changed."
  type        = string
  default     = ""
}

variable "firestore_database" {
  description = "Name of the Firestore database. Not `(default)`, so that other users of the project are not in the way."
  type        = string
  default     = "tidings"
}

variable "archive_days" {
  description = "How long the archive keeps events. A send is remembered for 400 days, and nothing older may be replayed for real."
  type        = number
  default     = 400
}

variable "max_workers" {
  description = "How many workers Dataflow may start. A ceiling costs nothing until it is reached."
  type        = number
  default     = 5
}

variable "worker_machine_type" {
  description = "Machine type of Dataflow's workers."
  type        = string
  default     = "e2-standard-2"
}

variable "worker_range" {
  description = "Internal addresses for Dataflow's workers."
  type        = string
  default     = "10.90.0.0/24"
}

variable "mail_connections" {
  description = "How many connections the mail server takes from us at the same time."
  type        = number
  default     = 40

  validation {
    condition     = var.mail_connections >= 10
    error_message = "At least 10: one instance of `deliver` holds that many."
  }
}

variable "warm_instances" {
  description = "Instances of `collect` and `deliver` that always wait for work. With 0, the first event and the first mail after a quiet time wait for a cold start."
  type        = number
  default     = 1
}

variable "dead_letters_an_hour" {
  description = "How many dead letters an hour are normal: bots and broken scripts send events that cannot be used."
  type        = number
  default     = 0
}

variable "privacy_members" {
  description = "Who may ask the function `privacy` for a copy of somebody's data, or for its end: `user:...`, `group:...`, `serviceAccount:...`."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.privacy_members : can(regex("^(user|group|serviceAccount):[^:@ ]+@[^:@ ]+$", member))])
    error_message = "Each must look like `group:privacy@pebble-and-fern.example`; nobody without a name is let in."
  }
}

variable "labels" {
  description = "Labels for everything that can have labels, besides application = tidings."
  type        = map(string)
  default     = {}
}
