"""DNA letters, codes and one-hot encoding.

DeepCpG's channel order is A, T, G, C: codes 0 to 3. N and the other ambiguity
letters of IUPAC are code 4, an all-zero row. Lower case counts as upper case and
U as T.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import SequenceError

if TYPE_CHECKING:
    import tensorflow as tf

LETTERS = "ATGCN"
"""The letter of each code."""

G_CODE, C_CODE, N_CODE = 2, 3, 4
_AMBIGUOUS = "NRYSWKMBDHV"
_INVALID = 255


def _code_table() -> npt.NDArray[np.uint8]:
    table = np.full(256, _INVALID, np.uint8)
    for letters, code in (("A", 0), ("TU", 1), ("G", G_CODE), ("C", C_CODE), (_AMBIGUOUS, N_CODE)):
        for letter in letters + letters.lower():
            table[ord(letter)] = code
    return table


_CODE_OF_BYTE = _code_table()
_LETTER_OF_CODE = np.frombuffer(LETTERS.encode(), np.uint8)


def encode(sequence: str, name: str = "sequence") -> npt.NDArray[np.uint8]:
    """Turn letters into codes.

    Parameters
    ----------
    sequence
        Letters of DNA or RNA, any IUPAC nucleotide letter in either case.
    name
        How an error calls the sequence.

    Returns
    -------
    ndarray of uint8, shape (length,)
        A 0, T 1, G 2, C 3, anything ambiguous 4.

    Raises
    ------
    SequenceError
        At the first character that is no nucleotide letter, with its position
        counted from 1.
    """
    codes = _CODE_OF_BYTE.take(_ascii(sequence))
    _check_letters(codes.reshape(1, -1), [sequence], [name])
    return codes


def encode_windows(
    sequences: Sequence[str], length: int, names: Sequence[str] | None = None
) -> npt.NDArray[np.uint8]:
    """Turn windows of one length into codes.

    Parameters
    ----------
    sequences
        Windows as letters.
    length
        Letters that each window must have.
    names
        How an error calls each of them; by default ``sequence 1`` and so on.

    Returns
    -------
    ndarray of uint8, shape (n, length)

    Raises
    ------
    SequenceError
        When a window has another length or holds a character that is no
        nucleotide letter.
    """
    names = [f"sequence {i + 1}" for i in range(len(sequences))] if names is None else names
    for sequence, name in zip(sequences, names, strict=True):
        if len(sequence) != length:
            raise SequenceError(
                f"{name}: expected a window of {length} letters, received {len(sequence)}"
            )
    codes = _CODE_OF_BYTE.take(_ascii("".join(sequences))).reshape(len(sequences), length)
    _check_letters(codes, sequences, names)
    return codes


def encode_tokens(tokens: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn windows of ASCII letters into codes.

    Parameters
    ----------
    tokens : ndarray of uint8, shape (n, length)

    Returns
    -------
    ndarray of uint8, shape (n, length)

    Raises
    ------
    SequenceError
        When they are no array of bytes, or one of them is no nucleotide letter.
    """
    if not isinstance(tokens, np.ndarray):
        raise SequenceError(
            "tokens: expected an array of uint8, shape (n, length): letters in ASCII, as "
            f"np.frombuffer(b'ACGT', np.uint8) has them, received {type(tokens).__name__}"
        )
    if tokens.dtype != np.uint8 or tokens.ndim != 2:
        raise SequenceError(
            "tokens: expected uint8 of shape (n, length), "
            f"received {tokens.dtype} of shape {tokens.shape}"
        )
    codes = _CODE_OF_BYTE.take(tokens)
    bad = np.flatnonzero((codes > N_CODE).any(axis=1))
    if bad.size:
        row = int(bad[0])
        at = int(np.argmax(codes[row] > N_CODE))
        raise SequenceError(
            f"tokens, row {row}, position {at + 1}: expected the ASCII code of a nucleotide "
            f"letter, received {tokens[row, at]}"
        )
    return codes


def decode(codes: npt.NDArray[np.integer]) -> str:
    """Turn codes back into the letters A, T, G, C, N.

    Parameters
    ----------
    codes : ndarray of integers, shape (length,)

    Raises
    ------
    SequenceError
        When a code is none of 0 to 4.
    """
    codes = np.asarray(codes)
    wrong = np.flatnonzero((codes < 0) | (codes > N_CODE))
    if wrong.size:
        position = int(wrong[0])
        raise SequenceError(
            f"position {position + 1}: expected a code from 0 to {N_CODE}, "
            f"received {codes[position]}"
        )
    return _LETTER_OF_CODE.take(codes).tobytes().decode()


def is_cg(bases: npt.NDArray[np.uint8], next_bases: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return whether bases and those that follow them, both as codes [n], are CG."""
    return (bases == C_CODE) & (next_bases == G_CODE)


def one_hot_rows(vocab_size: int = 4) -> npt.NDArray[np.float32]:
    """Return the one-hot row of each code.

    Returns
    -------
    ndarray of float32, shape (5, vocab_size)
        The last row, N, is all zeros, and so is a fifth channel.
    """
    return np.eye(5, vocab_size, dtype=np.float32) * (np.arange(5) < N_CODE)[:, None].astype(
        np.float32
    )


def one_hot_of_bytes(vocab_size: int = 4) -> npt.NDArray[np.float32]:
    """Return the one-hot row of each ASCII code, where no error can be raised.

    Returns
    -------
    ndarray of float32, shape (256, vocab_size)
        A byte that is no nucleotide letter counts as N.
    """
    return one_hot(np.minimum(_CODE_OF_BYTE, N_CODE), vocab_size)


def one_hot(codes: npt.NDArray[np.uint8], vocab_size: int = 4) -> npt.NDArray[np.float32]:
    """Turn codes into one-hot rows.

    Parameters
    ----------
    codes : ndarray of uint8, shape (..., length)
    vocab_size
        Channels: 4 (A, T, G, C), or 5 with one that is always zero.

    Returns
    -------
    ndarray of float32, shape (..., length, vocab_size)
    """
    return np.take(one_hot_rows(vocab_size), codes, axis=0)


def letters_of_codes(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn codes into the ASCII codes of their letters, in the same shape."""
    return _LETTER_OF_CODE.take(codes)


def graph_encode(letters: tf.Tensor) -> tf.Tensor:
    """Turn ASCII letters into codes inside a TensorFlow graph.

    Parameters
    ----------
    letters : tensor of uint8, shape (n, length)
        ASCII codes of letters.

    Returns
    -------
    tensor of uint8, shape (n, length)

    Raises
    ------
    tensorflow.errors.InvalidArgumentError
        When run on a byte that is no nucleotide letter; the message has the
        record and the position of the first, both counted from 1.
    """
    import tensorflow as tf

    codes = tf.gather(tf.constant(_CODE_OF_BYTE), tf.cast(letters, tf.int32))
    wrong = tf.where(tf.equal(codes, _INVALID))[:1] + 1
    message = "expected IUPAC nucleotide letters, received another at [[record, position]]"
    with tf.control_dependencies(
        [tf.debugging.Assert(tf.equal(tf.size(wrong), 0), [message, wrong])]
    ):
        return tf.identity(codes)


def graph_one_hot(codes: tf.Tensor, vocab_size: int = 4) -> tf.Tensor:
    """Turn codes into one-hot rows inside a TensorFlow graph.

    Parameters
    ----------
    codes : tensor of uint8, shape (n, length)
    vocab_size
        Channels: 4 (A, T, G, C), or 5 with one that is always zero.

    Returns
    -------
    tensor of float32, shape (n, length, vocab_size)
    """
    import tensorflow as tf

    return tf.gather(tf.constant(one_hot_rows(vocab_size)), tf.cast(codes, tf.int32))


def _ascii(sequence: str) -> npt.NDArray[np.uint8]:
    # "?" stands in for what is not ASCII, one for one: invalid at the same position.
    return np.frombuffer(sequence.encode("ascii", "replace"), np.uint8)


def _check_letters(
    codes: npt.NDArray[np.uint8], sequences: Sequence[str], names: Sequence[str]
) -> None:
    if codes.size and codes.max() == _INVALID:
        record, position = (int(i) for i in np.argwhere(codes == _INVALID)[0])
        raise SequenceError(
            f"{names[record]}, position {position + 1}: expected a nucleotide letter "
            f"(A, C, G, T, U, N or another of IUPAC), received {sequences[record][position]!r}"
        )
