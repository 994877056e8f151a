"""The doors to the outside: stores, Pub/Sub, SMTP. Only here may the core see `google`."""
