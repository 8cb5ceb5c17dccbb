from pathlib import Path

import pytest

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.profiles.names import cell_name


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("BS27_4_SER.bed.gz", "BS27_4_SER"),
        ("c3.tsv.gz", "c3"),
        ("c3.tsv.bz2", "c3"),
        ("c3.cov.xz", "c3"),
        ("a.bedGraph", "a"),
        ("a.merged_CpG_evidence.cov.gz", "a"),
        ("a.CpG_report.merged_CpG_evidence.cov.gz", "a"),
        ("a.CpG_report.txt.gz", "a"),
        ("a.CX_report.txt", "a"),
        ("a.NOMe.CpG.cov.gz", "a"),
        ("a.NOMe.CpG_report.txt", "a"),
        ("a_CpG.bedGraph", "a"),
        ("GSM1.v2.allc.tsv.bgz", "GSM1.v2"),
        # As Bismark calls its files, by aligner and kind of reads.
        ("a_bismark_bt2.bismark.cov.gz", "a"),
        ("a_bismark_bt2_pe.deduplicated.bismark.cov.gz", "a"),
        ("a_bismark_bt2_SE.bismark.zero.cov", "a"),
        ("a_bismark_hisat2_pe.multiple.deduplicated.bismark.cov.gz", "a"),
        ("a_bismark_mm2.bismark.cov", "a"),
        ("a_bismark.deduplicated.bedGraph.gz", "a"),
        ("x_pe.deduplicated.bismark.zero.cov", "x"),
        ("x_pe.bismark.cov.gz", "x"),
        ("a_trimmed_bismark_bt2.deduplicated.bismark.cov.gz", "a"),
        ("a_R1_val_1_bismark_bt2_pe.bismark.cov.gz", "a_R1"),
        # What may be of the cell stays.
        ("type_pe.cov.gz", "type_pe"),
        ("plate_1.cov", "plate_1"),
        ("plain", "plain"),
        (".bed", ".bed"),
        ("_bismark_bt2.cov", "_bismark_bt2"),
        ("_trimmed_val_1.cov.gz", "_trimmed"),
    ],
)
def test_endings(name, cell):
    assert cell_name(Path("folder.cov") / name) == cell


@pytest.mark.parametrize(
    ("pattern", "cell"),
    [
        (r"^[^_]+", "GSM12"),
        (r"GSM\d+_(.+?)_bismark", "cell-A"),
        (r"(?:GSM)(\d+)(_x)?", "12"),
        (r".*", "GSM12_cell-A_bismark_bt2.cov.gz"),
    ],
)
def test_a_pattern(pattern, cell):
    assert cell_name(Path("GSM99/GSM12_cell-A_bismark_bt2.cov.gz"), pattern) == cell


@pytest.mark.parametrize("pattern", ["GSM99", "x*", "(x)?GSM"])
def test_a_pattern_that_gives_no_name(pattern):
    with pytest.raises(ProfileError) as caught:
        cell_name(Path("GSM99/GSM12.cov"), pattern)
    assert str(caught.value) == (
        "GSM99/GSM12.cov: expected the name of a cell where `cell_name` has it, "
        f"{pattern!r}, received 'GSM12.cov'"
    )


def test_a_pattern_that_is_none():
    with pytest.raises(ProfileError) as caught:
        cell_name(Path("GSM12.cov"), "(GSM")
    assert str(caught.value) == (
        "cell_name: expected a regular expression, received '(GSM': missing ), unterminated "
        "subpattern at position 0"
    )
