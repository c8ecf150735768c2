"""Tests; `tests/compat` holds those that run the programs of others."""
