"""The messages: one folder each, with subject.txt, body.html, an optional body.txt and example.json."""
