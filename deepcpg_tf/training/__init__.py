"""Training on single-cell methylation, with the loss and defaults of the original."""
