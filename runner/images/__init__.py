"""The sandboxes' images: their recipes, and how they are built on a host that may have no registry."""
