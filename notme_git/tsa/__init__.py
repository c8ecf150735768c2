"""Time-stamps by authorities of others (RFC 3161), asked for over HTTP."""
