"""Files of the calls of several cells: MethSCAn's, amethyst's and CpG Transformer's."""
