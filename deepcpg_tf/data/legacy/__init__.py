"""The data files of the original program."""
