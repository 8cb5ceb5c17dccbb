"""What a model is made of, as data: configurations of the modules, and their layers."""
