"""Statements signed keylessly: bundles of any Sigstore instance, checked offline under a trusted root that is named."""
