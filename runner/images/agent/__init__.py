"""Files that run inside the agent's image; standard library only."""
