"""The embedded authority: grants, epochs, and the decision to issue a bridge certificate."""
