"""Sessions: one command, and everything it starts, acting as one agent under one grant (`notme-git run`)."""
