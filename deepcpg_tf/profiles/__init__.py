"""Readers of the methylation profiles of single cells."""
