"""The surface: what a client can say."""
