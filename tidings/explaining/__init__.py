"""Why did this person get this mail, or why not? Answered from what is kept, and again from the archive."""
