"""The hands: what is done, durably, through ports."""
