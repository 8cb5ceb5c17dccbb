"""Genomes, sites and methylation data."""
