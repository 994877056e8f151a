"""Runs everything on one machine: the embedded Pub/Sub, the functions, the pipeline, a mail catcher and a shop."""
