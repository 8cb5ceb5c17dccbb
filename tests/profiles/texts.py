"""The same cell in each format of profiles, on a reference made by hand."""

import re

import numpy as np
import pytest

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.profiles.read import read_profile

# CG at      2   6  9 11    16
CHR1 = "AACGTTCGGCGCGTNACGA"
CHR2 = "CGTTTTTTCG"
LABELS = {"chr1": {2: 1, 6: 0, 9: 1}, "chr2": {0: 1, 8: 0}}

# The same cell in each format: 2 methylated; 6 unmethylated; 9 on both strands, 1 of 2 and 3 of 3
# methylated; 11 a tie of both strands; 16 without reads where a format can say so; on chr2, 0 on
# the reverse strand only, and 8. The base at 4 is no CpG.
DEEPCPG = """\
1	3	1.0
1	5	1.0
1	7	0.0
1	10	0.5
1	11	1.0
1	12	0.9
1	13	0.1
2	2	1
2	9	0.49
"""
BEDGRAPH = """\
track type=bedGraph
1	2	3	100
1	4	5	100
1	6	7	0
1	9	10	50
1	10	11	100
1	11	12	33.3333333333333
1	12	13	66.6666666666667
2	1	2	100
2	8	9	25
"""
LEGACY_BEDGRAPH = """\
chr1	3	4	1.00000
chr1	5	6	0.90000
chr1	7	8	0.20000
chr1	10	11	0.50001
chr1	12	13	0.50000
chr2	1	2	0.60000
chr2	9	10	0.40000
"""
COV = """\
1	3	3	75	3	1
1	5	5	100	1	0
1	7	7	0	0	2
1	10	10	50	1	1
1	11	11	100	3	0
1	12	12	100	2	0
1	13	13	0	0	2
2	2	2	100	1	0
2	9	9	40	2	3
"""
MERGED_COV = """\
1	3	4	75	3	1
1	5	6	100	1	0
1	7	8	0	0	2
1	10	11	80	4	1
1	12	13	50	2	2
2	1	2	100	1	0
2	9	10	40	2	3
"""
REPORT = """\
1	3	+	3	1	CG	CGT
1	4	-	0	0	CG	CGT
1	5	+	1	0	CHG	TTC
1	5	+	1	0	CG	TTC
1	7	+	0	2	CG	CGG
1	8	-	0	0	CG	CGA
1	10	+	1	1	CG	CGC
1	11	-	3	0	CG	CGC
1	12	+	2	0	CG	CGT
1	13	-	0	2	CG	CGC
1	17	+	0	0	CG	CGA
2	2	-	1	0	CG	CGN
2	9	+	2	3	CG	CGN
"""
ALLC = """\
chr	pos	strand	mc_class	mc_count	total	methylated
1	3	+	CGT	3	4	1
1	5	+	CHG	1	1	1
1	5	+	CGG	1	1	1
1	7	+	CGG	0	2	0
1	10	+	CGC	1	2	1
1	11	-	CGC	3	3	1
1	12	+	CGT	2	2	1
1	13	-	CGC	0	2	0
1	17	+	CGA	0	0	0
2	2	-	CGN	1	1	1
2	9	+	CGN	2	5	1
"""


def modkit(start, strand, methylated, canonical, other=0, code="m", chromosome="chr1"):
    reads = methylated + canonical + other
    percent = 100 * methylated / reads
    columns = [chromosome, start, start + 1, code, reads, strand, start, start + 1, "255,0,0"]
    columns += [reads, f"{percent:.2f}", methylated, canonical, other, 0, 0, 0, 0]
    return "\t".join(map(str, columns)) + "\n"


MODKIT = "".join(
    [
        modkit(2, "+", 5, 3, 0, "h"),
        modkit(2, "+", 3, 1, 4),
        modkit(4, "+", 1, 0),
        modkit(6, "+", 0, 2, code="m,CG,0"),
        modkit(9, "+", 1, 1),
        modkit(10, "-", 3, 0),
        modkit(11, ".", 2, 2),
        modkit(1, "-", 1, 0, chromosome="chr2"),
        modkit(8, "+", 2, 5, 1, chromosome="chr2"),
    ]
)


def encode(chromosome, start, strand, reads, percent):
    columns = [chromosome, start, start + 1, "my cell", 0, strand, start, start + 1, "0,255,0"]
    return "\t".join(map(str, [*columns, reads, percent])) + "\n"


ENCODE = "".join(
    [
        encode("chr1", 2, "+", 4, 75),
        encode("chr1", 4, "+", 1, 100),
        encode("chr1", 6, "+", 3, 33),
        encode("chr1", 9, "+", 2, 50),
        encode("chr1", 10, "-", 3, 100),
        encode("chr1", 11, "+", 2, 100),
        encode("chr1", 12, "-", 2, 0),
        encode("chr1", 16, "+", 0, 0),
        encode("chr2", 1, "-", 1, 100),
        encode("chr2", 8, "+", 5, 40),
    ]
)


def zero_based(cov):
    return "".join(
        "\t".join([fields[0], str(int(fields[1]) - 1), *fields[2:]]) + "\n"
        for fields in (line.split("\t") for line in cov.splitlines())
    )


def labels(profile):
    for found in profile.sites.values():
        assert (found.positions.dtype, found.labels.dtype) == (np.int64, np.int8)
    return {
        chromosome: dict(zip(found.positions.tolist(), found.labels.tolist(), strict=True))
        for chromosome, found in profile.sites.items()
    }


def refusal(path, content, genome, **options):
    """Return the message of the error that a file causes.

    Without its path, and without what the file was taken for.
    """
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ProfileError) as caught:
        read_profile(path, genome, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return re.sub(r" \((taken for|read as) [^()]*\)$", "", message.removeprefix(str(path)))
