"""What the daemon serves beside /mcp."""
