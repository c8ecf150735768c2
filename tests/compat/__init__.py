"""Tests that run git, openssl and other programs that are not ours."""
