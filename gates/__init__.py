"""The arbiter: what is judged, and how. Runs nothing."""
