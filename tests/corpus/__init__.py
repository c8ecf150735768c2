"""An attack corpus of signed git objects for any verifier; docs/corpus.md describes it for others."""
