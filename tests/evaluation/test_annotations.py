import gzip

import numpy as np
import pytest

from deepcpg_tf.errors import AnnotationError
from deepcpg_tf.evaluation.annotations import annotate

CHROMOSOMES = ("1", "chr2")
IDS = np.array([0, 0, 0, 0, 1])
POSITIONS = np.array([9, 10, 19, 20, 15])


def inside(path):
    (mask,) = annotate([path], CHROMOSOMES, IDS, POSITIONS).values()
    return mask.tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1\t10\t20\n", [False, True, True, False, False]),
        ("1\t10\t12\textra\n1\t11\t21\n", [False, True, True, True, False]),
        ("2\t15\t16\n1\t0\t10\n", [True, False, False, False, True]),
        ("# x\ntrack name=a\n1\t19\t20\n", [False, False, True, False, False]),
    ],
)
def test_sites_within(tmp_path, text, expected):
    (tmp_path / "islands.bed").write_text(text)
    assert inside(tmp_path / "islands.bed") == expected
    (tmp_path / "islands.bed.gz").write_bytes(gzip.compress(text.encode()))
    assert list(annotate([tmp_path / "islands.bed.gz"], CHROMOSOMES, IDS, POSITIONS)) == ["islands"]


@pytest.mark.parametrize(
    "text", ["1\t10\n", "1\tx\t20\n", "1\t20\t10\n", ""], ids=["columns", "number", "end", "empty"]
)
def test_faults(tmp_path, text):
    (tmp_path / "islands.bed").write_text(text)
    with pytest.raises(AnnotationError, match=r"islands.bed"):
        inside(tmp_path / "islands.bed")
