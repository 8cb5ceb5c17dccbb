"""What a base does to a prediction."""
