"""Levels of regions in single cells, and how far to trust them."""
