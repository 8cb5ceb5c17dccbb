"""Letters to one-hot rows: megabases a second, ours against the usual dictionary look-up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.common import Result, alternate, figure, in_words, prose, rate, requirement, table
from deepcpg_tf.genome.sequence import encode_windows, one_hot

TITLE = "Letters to one-hot rows"
LENGTH, WINDOWS, ROUNDS = 1001, 1000, 9
REQUIRED = 100  # megabases a second
ROWS = dict(zip("ATGC", np.eye(4, dtype=np.float32), strict=True))
ROWS["N"] = np.zeros(4, np.float32)


def ours(windows: list[str]) -> npt.NDArray[np.float32]:
    """Encode with this package."""
    return one_hot(encode_windows(windows, LENGTH))


def dictionary(windows: list[str]) -> npt.NDArray[np.float32]:
    """Encode letter by letter."""
    return np.array([[ROWS[letter] for letter in window] for window in windows])


def run() -> Result:
    """Measure."""
    rng = np.random.default_rng(0)
    windows = ["".join(rng.choice([*"ACGTN"], LENGTH)) for _ in range(WINDOWS)]
    np.testing.assert_array_equal(ours(windows), dictionary(windows))
    megabases = LENGTH * WINDOWS / 1e6
    result = alternate(
        {
            "ours": rate(megabases, lambda: ours(windows)),
            "dictionary": rate(megabases, lambda: dictionary(windows)),
        },
        ROUNDS,
    )
    reached = result["rates"]["ours"]["median"]
    return {
        "windows": WINDOWS,
        "length": LENGTH,
        **result,
        "requirement": requirement("megabases a second", REQUIRED, reached),
    }


def report(result: Result) -> str:
    """Return the section of the report."""
    rows = [(name, figure(rates)) for name, rates in result["rates"].items()]
    ratio = figure(result["ratios"]["ours / dictionary"])
    what = (
        f"{result['windows']:,} windows of {result['length']} letters become one-hot rows in "
        "NumPy, by this package and by the usual look-up of each letter in a dictionary; both "
        "give the same rows."
    )
    return f"""\
{prose(what)}

{table(("", "megabases a second"), rows)}

{prose(f"Ours is {ratio} times as fast. {in_words(result['requirement'])}")}
"""
