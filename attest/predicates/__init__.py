"""One predicate a module: what of the findings about a commit is said, and in whose format."""
