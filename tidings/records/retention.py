"""How long everything is kept, in one place.

Firestore's time-to-live policies, SQLite's `expire`, BigQuery's partitions and docs/privacy.md follow this table; tests
hold them to it.

What is not in it stays until the person asks for erasure, or for good: profiles and consent (the proof that mail was
wanted must outlive the mail), suppressions and receipts (which name nobody), rules and their versions.
"""

from datetime import timedelta

LEDGER = timedelta(days=400)
"""Sends. A send id that has expired could be claimed anew, so nothing older than that may be replayed for real."""

ACTIVITY = timedelta(days=400)
"""Lines of the feed."""

FEEDBACK = timedelta(days=400)
"""Opens, clicks, bounces and complaints."""

ORIGINS = timedelta(days=90)
"""IP addresses and names of browsers, of consent and of opens and clicks: long enough to answer a complaint."""

ARCHIVE = timedelta(days=400)
"""Events in BigQuery, unless the operator chooses otherwise (`archive_days`)."""
