"""From windows of any source to a table of predictions."""
