# The functions' source: one archive for all of them, named by what is in it.
#
# Cloud Functions puts nothing but the archive's root on Python's path, so main.py and requirements.txt move up to it.

locals {
  root = "${path.module}/.."

  function_packages = "{functions,rules,templates,tidings}/**/*.{css,html,json,mjml,py,txt,yaml}"

  # Moved; or for a local run only; or not read from here: rules are in the store, and only policies ship with the code.
  left_out = "^(functions/(local|main)\\.py|functions/requirements\\.txt|rules/[^/]+\\.(json|yaml)|rules/(segments|stories)/.*|tidings/local/.*)$"

  function_files = merge(
    {
      "main.py"          = "functions/main.py"
      "requirements.txt" = "functions/requirements.txt"
    },
    { for file in fileset(local.root, local.function_packages) : file => file if !can(regex(local.left_out, file)) },
  )
}

data "archive_file" "functions" {
  type        = "zip"
  output_path = "${path.module}/.build/functions.zip"

  dynamic "source" {
    for_each = local.function_files

    content {
      filename = source.key
      content  = file("${local.root}/${source.value}")
    }
  }
}

resource "google_storage_bucket_object" "functions" {
  bucket = google_storage_bucket.this["code"].name
  name   = "functions-${data.archive_file.functions.output_sha256}.zip"
  source = data.archive_file.functions.output_path

  lifecycle {
    create_before_destroy = true
  }
}
