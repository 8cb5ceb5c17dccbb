"""Methylation tables as files of other programs: MethSCAn, amethyst, CpG Transformer, ALLCools."""
