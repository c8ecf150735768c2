"""Proofs: one plain function each, from what somebody shows to an `Identity`, or `RefusedError`."""
