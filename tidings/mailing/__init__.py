"""From a decision to a mail that leaves, in its turn and once."""
