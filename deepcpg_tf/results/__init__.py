"""Results as files, by the ending of their name."""
