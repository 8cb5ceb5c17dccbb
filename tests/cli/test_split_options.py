import pytest

from deepcpg_tf.cli.split_options import chosen_split
from deepcpg_tf.data.splits import published_split
from deepcpg_tf.errors import SplitError
from tests.data.test_splits import MOUSE, chromosomes, make


def test_options():
    published = chosen_split(split="published")(MOUSE)
    assert chromosomes(MOUSE, published) == chromosomes(MOUSE, published_split(MOUSE))
    tested = chosen_split(split="published", parts=["test"])(make(chr2=2))
    assert [part.tolist() for part in tested] == [[], [], [0, 1]]
    listed = chosen_split(train="1, 3", validation="13", test="chr2")(MOUSE)
    assert chromosomes(MOUSE, listed) == [["chr1", "chr3"], ["chr13"], ["chr2"]]
    shares = chosen_split(fractions="0.6,0,0.4")(make(a=3, b=2))
    assert [len(part) for part in shares] == [3, 0, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected --split published, .* received none"),
        ({"split": "published", "train": "1"}, "received --split and --train/--validation/--test"),
        ({"test": "1", "fractions": "1,0,0"}, "--test and --fractions"),
        ({"split": "random"}, "--split: expected published, received 'random'"),
        ({"train": "1,,3"}, "--train: expected names of chromosomes .* received '1,,3'"),
        ({"train": ""}, "--train: expected names of chromosomes"),
        ({"fractions": "0.5,half,0"}, "--fractions: expected three numbers .* '0.5,half,0'"),
        ({"fractions": "nan,0.5,0.5"}, "fractions: expected three"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(SplitError, match=message):
        chosen_split(**options)(MOUSE)
