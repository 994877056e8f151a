"""What comes back about mail, and what it means: opens, clicks, bounces, as events of their person."""
