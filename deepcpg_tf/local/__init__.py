"""What the local module reads: features of entries, made of a methylation table."""
