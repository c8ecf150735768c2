"""Signing statements keylessly, through any Sigstore instance; needs the extra `sigstore` and the network."""
