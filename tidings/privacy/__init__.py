"""The rights of people over their data: a copy of it (GDPR 15 and 20), and its end (GDPR 17). Pure over a `Store`."""
