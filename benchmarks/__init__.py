"""How fast this package is, measured against alternatives and its own requirements."""
