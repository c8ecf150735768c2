"""Ways from a proof of who is asking to a bridge certificate."""
