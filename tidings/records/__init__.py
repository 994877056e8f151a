"""What is kept about people, rules and sends, and the one protocol that every store speaks."""
