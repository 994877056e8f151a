"""What marketers write: rules and segments, the kinds of trigger, and the clauses that they are made of."""
