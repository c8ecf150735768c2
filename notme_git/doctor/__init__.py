"""`notme-git doctor`: what would make a signature fail, be absent in silence, or be wrong, found before the commit."""
