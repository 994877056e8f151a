"""From what a stranger posted to an event that can be trusted, or the reason why there is none."""
