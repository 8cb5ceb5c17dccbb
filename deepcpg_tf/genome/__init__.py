"""The reference genome: sequence, names, windows, sites and intervals."""
