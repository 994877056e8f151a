"""What is wrong with rules, and what is valid and yet not what its author meant: one file a subject, all of it pure."""
