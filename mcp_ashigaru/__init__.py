"""The surface: what a client can say."""

__version__ = "0.1.0"
