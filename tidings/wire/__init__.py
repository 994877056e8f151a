"""What travels over Pub/Sub: events, decisions and dead letters, each with its attributes."""
