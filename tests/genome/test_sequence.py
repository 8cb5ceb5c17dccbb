import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from deepcpg_tf.errors import SequenceError
from deepcpg_tf.genome.sequence import (
    decode,
    encode,
    encode_windows,
    graph_encode,
    graph_one_hot,
    one_hot,
)

IUPAC = "ACGTUNRYSWKMBDHV"


def test_channel_order_is_atgc():
    assert encode("ATGCN").tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(one_hot(encode("ATGCN")), np.eye(5, 4, dtype=np.float32))


def test_lower_case_and_u():
    np.testing.assert_array_equal(encode("acgtuU"), encode("ACGTTT"))


def test_ambiguous_letters_are_all_zero():
    letters = "NRYSWKMBDHV"
    assert not one_hot(encode(letters + letters.lower())).any()


def test_fifth_channel_is_always_zero():
    rows = one_hot(encode("ATGCN"), vocab_size=5)
    assert rows.shape == (5, 5)
    assert not rows[:, 4].any()
    np.testing.assert_array_equal(rows[:, :4], one_hot(encode("ATGCN")))


@given(st.text(alphabet="ATGCN"))
def test_decode_undoes_encode(sequence):
    assert decode(encode(sequence)) == sequence


@given(st.text(alphabet=IUPAC + IUPAC.lower(), min_size=1))
def test_encode_is_idempotent(sequence):
    codes = encode(sequence)
    np.testing.assert_array_equal(encode(decode(codes)), codes)


@given(st.text(min_size=1), st.text(alphabet=IUPAC))
def test_only_iupac_letters_are_accepted(text, prefix):
    wrong = next((i for i, c in enumerate(text) if c.upper() not in IUPAC or ord(c) > 127), None)
    if wrong is None:
        assert len(encode(text)) == len(text)
    else:
        with pytest.raises(SequenceError) as error:
            encode(prefix + text, "chr1")
        assert f"chr1, position {len(prefix) + wrong + 1}:" in str(error.value)
        assert repr(text[wrong]) in str(error.value)


def test_windows_name_the_record_and_position():
    with pytest.raises(SequenceError, match=r"line 9, position 3: .*received '-'"):
        encode_windows(["ACGT", "AC-T"], 4, ["line 8", "line 9"])


def test_windows_name_both_lengths():
    with pytest.raises(SequenceError, match="sequence 2: expected a window of 4 letters.*ved 3"):
        encode_windows(["ACGT", "ACG"], 4)


@pytest.mark.parametrize("codes", [[0, 5], [0, -1]])
def test_decode_refuses_other_codes(codes):
    with pytest.raises(SequenceError, match="position 2: expected a code from 0 to 4"):
        decode(np.array(codes))


@given(st.lists(st.text(alphabet=IUPAC + IUPAC.lower(), min_size=7, max_size=7), min_size=1))
def test_graph_equals_numpy(sequences):
    codes = encode_windows(sequences, 7)
    letters = tf.constant(np.frombuffer("".join(sequences).encode(), np.uint8).reshape(-1, 7))
    np.testing.assert_array_equal(graph_encode(letters).numpy(), codes)
    np.testing.assert_array_equal(graph_one_hot(tf.constant(codes)).numpy(), one_hot(codes))


def test_graph_refuses_other_letters():
    letters = tf.constant(np.frombuffer(b"ACGTA?GT", np.uint8).reshape(2, 4))
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        tf.function(graph_encode)(letters)
    assert "[2 2]" in str(error.value)
