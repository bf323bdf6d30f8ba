"""One library each: the ports' real ends."""
