"""Access tokens bound to a key (RFC 9449): for programs that call a service, and for services that are called."""
