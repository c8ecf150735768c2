"""The client of an authority over HTTP: what a home remembers of it, and how its agents get their certificates."""
