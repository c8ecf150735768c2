"""Vectors with one defect each; README.md in this folder says how to read them."""
