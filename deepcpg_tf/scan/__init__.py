"""Genome-wide prediction: convolutions shared between windows that overlap."""
