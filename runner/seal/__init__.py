"""What a sandbox finds of the world, looked for from inside it; and what it is to find. For tests and the doctor."""
