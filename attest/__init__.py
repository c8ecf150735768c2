"""Examine and judge signatures in git: offline, no network, no private key."""
