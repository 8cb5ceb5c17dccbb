"""Readers of the methylation profiles of single cells."""

MIN_MATCH = 0.95
"""Share of positions on a C or G under which the reference is taken for another one."""
