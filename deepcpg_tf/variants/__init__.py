"""What a base does to predictions."""
