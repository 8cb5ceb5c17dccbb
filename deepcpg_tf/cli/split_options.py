"""The options that say how sites are split, by chromosome."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from deepcpg_tf.errors import SplitError

if TYPE_CHECKING:
    from deepcpg_tf.data.splits import Splitter

SplitName = Annotated[
    str | None, typer.Option("--split", help="published: the split of the paper.", metavar="NAME")
]
Train = Annotated[
    str | None, typer.Option("--train", help="Chromosomes to train on: 1,3,5.", metavar="LIST")
]
Validation = Annotated[
    str | None, typer.Option("--validation", help="Chromosomes to validate on.", metavar="LIST")
]
Test = Annotated[
    str | None, typer.Option("--test", help="Chromosomes kept for evaluation.", metavar="LIST")
]
Fractions = Annotated[
    str | None,
    typer.Option("--fractions", help="Shares of sites, over whole chromosomes.", metavar="A,B,C"),
]


def chosen_split(
    *,
    split: str | None = None,
    train: str | None = None,
    validation: str | None = None,
    test: str | None = None,
    fractions: str | None = None,
    parts: Collection[str] | None = None,
) -> Splitter:
    """Return the way to split that the options ask for.

    Parameters
    ----------
    split, train, validation, test, fractions
        The options, as they were given.
    parts
        Those of the published split that are needed, by default all; see
        `deepcpg_tf.data.splits.published_split`.

    Raises
    ------
    SplitError
        When none or several ways to split are given, or one cannot be read.
    """
    from deepcpg_tf.data.splits import PARTS, chromosome_split, fraction_split, published_split

    ways = [
        name
        for name, given in (
            ("--split", split is not None),
            (
                "--train/--validation/--test",
                any(text is not None for text in (train, validation, test)),
            ),
            ("--fractions", fractions is not None),
        )
        if given
    ]
    if len(ways) != 1:
        raise SplitError(
            "split: expected --split published, or chromosomes as --train, --validation and "
            f"--test, or --fractions, received {' and '.join(ways) or 'none'}"
        )
    if split is not None:
        if split != "published":
            raise SplitError(f"--split: expected published, received {split!r}")
        return partial(published_split, parts=PARTS if parts is None else parts)
    if fractions is not None:
        return partial(fraction_split, fractions=_numbers(fractions))
    return partial(
        chromosome_split,
        train=_names("train", train),
        validation=_names("validation", validation),
        test=_names("test", test),
    )


def _names(part: str, text: str | None) -> list[str]:
    if text is None:
        return []
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise SplitError(
            f"--{part}: expected names of chromosomes with commas between them, received {text!r}"
        )
    return names


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise SplitError(
            f"--fractions: expected three numbers with commas between them, received {text!r}"
        ) from None
