"""The engine: events and time in, decisions out. No clock, no network, no Beam."""
