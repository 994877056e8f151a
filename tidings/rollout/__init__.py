"""How rules and segments come into force: read together, checked, compared, and kept version by version."""
