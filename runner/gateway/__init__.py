"""What crosses the wall of a sandbox: the relay, the model gateway, the egress proxy."""
