"""Shuffles of windows that keep how often each two letters stand side by side."""

from __future__ import annotations

import hashlib
from itertools import product

import numpy as np
import numpy.typing as npt

from deepcpg_tf.genome.sequence import N_CODE, is_cg

Codes = npt.NDArray[np.uint8]


def shuffled_windows(windows: Codes, number: int, seed: int = 0) -> Codes:
    """Return references of windows: shuffles that keep their dinucleotides.

    N stays where it is, and so does the CG in the middle that a window is of: what lies
    between is shuffled for itself. The shuffles of a window depend on its letters and the
    seed alone, not on the windows beside it.

    Parameters
    ----------
    windows : ndarray of uint8, shape (n, length)
        Codes.
    number
        Of shuffles of each.
    seed
        Of the random numbers, at least 0.

    Returns
    -------
    ndarray of uint8, shape (n, number, length)
    """
    result = np.repeat(windows[:, None], number, axis=1)
    for window, own in zip(windows, result, strict=True):
        digest = hashlib.blake2b(window.tobytes(), digest_size=16).digest()
        rng = np.random.default_rng([seed, *np.frombuffer(digest, np.uint32).tolist()])
        for run in _runs(window):
            own[:, run] = dinucleotide_shuffles(window[run], number, rng)
    return result


def _runs(window: Codes) -> list[slice]:
    """Return the stretches without N, of which the one with the site is two: up to C, from G on."""
    known = np.concatenate([[False], window < N_CODE, [False]])
    edges = np.flatnonzero(np.diff(known.astype(np.int8)))
    cuts = edges.tolist()
    site = len(window) // 2
    if is_cg(window[site : site + 1], window[site + 1 : site + 2]).any():
        cuts = sorted([*cuts, site + 1, site + 1])
    return [slice(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=True)]


def dinucleotide_shuffles(
    letters: npt.NDArray[np.integer], number: int, rng: np.random.Generator
) -> npt.NDArray[np.integer]:
    """Draw sequences that have each two letters side by side as often as a given one.

    Any of them is as likely as any other. They begin and end with the same letters.
    Altschul & Erickson, Mol. Biol. Evol. 2:526 (1985): a sequence is an Eulerian path through
    the graph that has an edge for each two letters. The last edges out of all letters but the
    final one form a tree towards that; any tree, drawn by how many ways there are to it, and
    any order of the other edges make a path.

    Parameters
    ----------
    letters : ndarray of integers, shape (length,)
        Few different ones.
    number
        Of sequences.
    rng
        The random numbers.

    Returns
    -------
    ndarray of integers, shape (number, length)
    """
    if len(letters) < 4:  # the inner letters decide about nothing, or there is one at most
        return np.tile(letters, (number, 1))
    names, ids = np.unique(letters, return_inverse=True)
    first, final = int(ids[0]), int(ids[-1])
    after = [np.sort(ids[1:][ids[:-1] == i]) for i in range(len(names))]
    others = [i for i in range(len(names)) if i != final]
    trees, ways = [], []
    for last in product(*(np.unique(after[i]).tolist() for i in others)):
        tree = dict(zip(others, last, strict=True))
        if _is_tree(tree, final):
            trees.append(tree)
            ways.append(np.prod([float((after[i] == to).sum()) for i, to in tree.items()]))
    drawn = rng.choice(len(trees), number, p=np.divide(ways, sum(ways)))
    orders = []
    for i, own in enumerate(after):
        rows = np.tile(own, (number, 1))
        if i == final:
            orders.append(rng.permuted(rows, axis=1))
            continue
        to = np.array([trees[one][i] for one in drawn])
        place = np.argmax(rows == to[:, None], axis=1)
        rows[np.arange(number), place] = rows[:, -1]
        orders.append(np.concatenate([rng.permuted(rows[:, :-1], axis=1), to[:, None]], axis=1))
    result = np.empty((number, len(ids)), np.intp)
    for row, path in enumerate(result):
        followers = [iter(order[row].tolist()) for order in orders]
        letter = first
        path[0] = letter
        for place in range(1, len(path)):
            letter = next(followers[letter])
            path[place] = letter
    return names[result]


def _is_tree(edges: dict[int, int], root: int) -> bool:
    """Return whether one arrives at the root from everywhere."""
    for start in edges:
        at = start
        for _ in edges:
            at = edges.get(at, root)
        if at != root:
            return False
    return True
