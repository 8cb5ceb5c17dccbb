import numpy as np
import pytest

from deepcpg_tf.errors import AnnotationError
from deepcpg_tf.evaluation.annotations import annotate


def write(folder, text, name="a.bed"):
    path = folder / name
    path.write_text(text)
    return path


SITES = (("chr1", "2", "3"), np.array([0, 0, 1]), np.array([5, 50, 5]))


def test_annotate(tmp_path):
    paths = [write(tmp_path, "1\t0\t10\n", "b.bed"), write(tmp_path, "2\t9\t10\nchr1\t50\t51\n")]
    masks = annotate(paths, *SITES)
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "b": [True, False, False],
        "a": [False, True, False],
    }
    assert list(masks) == ["b", "a"]


def test_two_annotations_of_one_name(tmp_path):
    (tmp_path / "other").mkdir()
    paths = [write(tmp_path, "1\t0\t9\n"), write(tmp_path / "other", "1\t0\t9\n")]
    with pytest.raises(AnnotationError, match=r"other/a.bed: .* received 'a', that of .*a.bed$"):
        annotate(paths, *SITES)


def test_an_annotation_of_other_chromosomes(tmp_path):
    path = write(tmp_path, "X\t0\t9\nY\t0\t9\n")
    with pytest.raises(AnnotationError, match=r"asked for \(chr1, 2, 3\), found X, Y$"):
        annotate([path], *SITES)
    # The genome has it, though no site lies there: nor is that a fault of the file.
    masks = annotate([path], *SITES, ["chr1", "2", "3", "chrX"])
    assert masks["a"].tolist() == [False, False, False]
    # So it is with a chromosome of the data that is not evaluated.
    assert not annotate([write(tmp_path, "3\t0\t9\n")], *SITES)["a"].any()


def test_names_are_those_of_the_genome(tmp_path):
    """With a 1 and a chr1 in the genome, intervals on chr1 are not for sites on 1."""
    path = write(tmp_path, "chr1\t0\t9\n")
    sites = (("1",), np.array([0]), np.array([5]))
    assert not annotate([path], *sites, ["1", "chr1"])["a"].any()
    assert annotate([path], *sites, ["1", "chr2"])["a"].all()


@pytest.mark.parametrize(("in_bed", "in_data"), [("chrM", "MT"), ("MT", "chrM"), ("1", "chr1")])
def test_sites_under_other_names(tmp_path, in_bed, in_data):
    sites = ((in_data,), np.array([0, 0]), np.array([5, 50]))
    masks = annotate([write(tmp_path, f"{in_bed}\t0\t10\n")], *sites)
    assert masks["a"].tolist() == [True, False]
