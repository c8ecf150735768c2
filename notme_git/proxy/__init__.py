"""A proxy on loopback that shows a TLS client certificate for programs that cannot hold one."""
