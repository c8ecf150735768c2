"""Reading for people: the history as a table, shell completion, manual pages."""
