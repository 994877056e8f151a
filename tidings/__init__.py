"""Tidings: from what a person does to the right email, once, and only with consent.

This package is the core and what both shells share. It knows no clock, no network, no Beam and no Google,
except under `tidings.adapters`, which holds the few doors to the outside, and `tidings.local`, which runs
everything on one machine.
"""
