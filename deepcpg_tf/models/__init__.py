"""The models: configurations, layers, and what they read."""
