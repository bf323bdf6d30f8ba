"""The people's commands, one module per verb or family."""
