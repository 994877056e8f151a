"""What is measured, and how. Ratios against a baseline of the same process and minute, because machines are noisy."""
