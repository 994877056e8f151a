"""What could not be used: found again, counted, and put back where it came from."""
