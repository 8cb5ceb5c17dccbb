"""What a base does: arrays in, typed results out."""
