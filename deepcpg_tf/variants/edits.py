"""CpG sites near a change of a chromosome, in both alleles: which they are, and their windows.

A site is told by the C of its CpG. The two alleles are one sequence but for the edit, so that
every base outside of it is in both; a substitution of as many bases as there were has these in
their places, too. A site whose C is in both alleles, with a G after it in both, is kept. One that
only the reference has is lost, and one that only the alternate allele has is gained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from deepcpg_tf.genome.sequence import N_CODE, encode, is_cg
from deepcpg_tf.genome.variants import Allele
from deepcpg_tf.genome.windows import stretch

Codes: TypeAlias = npt.NDArray[np.uint8]

KEPT, LOST, GAINED = 0, 1, 2
CLASSES = ("kept", "lost", "gained")
"""What becomes of sites, by `KEPT`, `LOST` and `GAINED`."""

_AT_ONCE = 64


class Window(NamedTuple):
    """The bases that are read of a site: so many before its C, and so many in all."""

    before: int
    length: int

    @property
    def after(self) -> int:
        """Bases after the C."""
        return self.length - self.before - 1


class Nearby(NamedTuple):
    """The sites near an edit, by position.

    Attributes
    ----------
    positions : ndarray of int64, shape (n,)
        0-based, in the reference, of the C. A gained site whose C is inserted has that of the
        base which its C is put in place of, or, once there are none left, the last of these; of
        an insertion that of the base after it.
    classes : ndarray of uint8, shape (n,)
        `KEPT`, `LOST` or `GAINED`.
    offsets : ndarray of int32, shape (n,)
        Which of the inserted bases is the C, from 0, of a gained site whose C is inserted; -1
        of all others.
    windows : ndarray of uint8, shape (m, length)
        What is read of the alternate allele, of all sites but the lost ones.
    unchanged : ndarray of bool, shape (n,)
        Whether both alleles of a kept site read the same, as in a repeat.
    """

    positions: npt.NDArray[np.int64]
    classes: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int32]
    windows: Codes
    unchanged: npt.NDArray[np.bool_]


def aligned(codes: Codes, allele: Allele, floor: int = 0) -> Allele:
    """Return an insertion or deletion where it is written farthest to the left.

    In a repeat the same sequence comes of it at several places. Other alleles have one place
    only, and are returned as they are.

    Parameters
    ----------
    codes : ndarray of uint8, shape (bases,)
        The chromosome.
    allele
        In its minimal form.
    floor
        The leftmost position there may be.
    """
    letters = allele.ref or allele.alt
    if (allele.ref and allele.alt) or not letters:
        return allele
    own, size = encode(letters), len(letters)
    shift = 0
    while (count := min(_AT_ONCE, allele.position - floor - shift)) > 0:
        at = np.arange(shift, shift + count)
        here = codes[allele.position - 1 - at]
        differs = np.flatnonzero((here != own[(size - 1 - at) % size]) | (here == N_CODE))
        if differs.size:
            shift += int(differs[0])
            break
        shift += count
    turn = size - shift % size
    letters = letters[turn:] + letters[:turn]
    position = allele.position - shift
    return Allele(position, letters, "") if allele.ref else Allele(position, "", letters)


def nearby(
    codes: Codes,
    allele: Allele,
    window: Window,
    others: Sequence[Allele] = (),
    *,
    kept_windows: bool = True,
) -> Nearby:
    """Return the CpGs whose window holds an edit, in either allele.

    Windows are built outward from the C of each: real bases take the place of what is deleted,
    and N is there only off the chromosome.

    Parameters
    ----------
    codes : ndarray of uint8, shape (bases,)
        The chromosome.
    allele
        The edit.
    window
        What is read of a site.
    others
        Other edits of the same haplotype, sorted, none of which overlaps another: the alternate
        allele has them, too. Those that are far away do not count.
    kept_windows
        Whether windows of kept sites are wanted; else there are those of gained ones, and nothing
        is `unchanged`.
    """
    start, end = allele.position, allele.position + len(allele.ref)
    low, high, edits = _around(allele, window, others)
    reference = stretch(codes, low, high - low)
    local = _apply(reference, low, edits)
    own = edits.index(allele)
    first, last = local.starts[own], local.starts[own] + len(allele.alt)

    old = np.flatnonzero(is_cg(reference[:-1], reference[1:]))
    new = np.flatnonzero(is_cg(local.bases[:-1], local.bases[1:]))
    is_old = np.zeros(len(reference), bool)
    is_old[old] = True
    origins = local.origins[new]
    is_kept = (origins >= 0) & is_old[origins]  # of -1 whatever there is
    # Where the C of each site is in both alleles, -1 for nowhere.
    of_old = np.full(len(reference), -1)
    of_old[origins[is_kept]] = new[is_kept]
    gained = new[~is_kept]
    at_old = np.concatenate([old, np.full(len(gained), -1)])
    at_new = np.concatenate([of_old[old], gained])
    holds = (at_old >= 0) & _holds(window, at_old, start - low, end - low)
    holds |= (at_new >= 0) & _holds(window, at_new, first, last)
    at_old, at_new = at_old[holds], at_new[holds]
    places = np.where(at_old >= 0, at_old, local.places[at_new]) + low
    np.clip(places, 0, max(len(codes) - 1, 0), out=places)
    offsets = np.where(at_old >= 0, -1, local.offsets[at_new])
    order = np.lexsort((offsets, places))
    at_old, at_new, places, offsets = (one[order] for one in (at_old, at_new, places, offsets))

    classes = np.full(len(places), KEPT, np.uint8)
    classes[at_new < 0] = LOST
    classes[at_old < 0] = GAINED
    unchanged = np.zeros(len(places), bool)
    offsets = offsets.astype(np.int32)
    if not kept_windows:
        windows = _cut(local.bases, at_new[classes == GAINED], window)
        return Nearby(places, classes, offsets, windows, unchanged)
    windows = _cut(local.bases, at_new[at_new >= 0], window)
    kept = classes == KEPT
    same = windows[kept[at_new >= 0]] == _cut(reference, at_old[kept], window)
    unchanged[kept] = same.all(axis=1)
    return Nearby(places, classes, offsets, windows, unchanged)


class _Local(NamedTuple):
    """A stretch with its edits.

    Of each base, ``origins`` are where it is in the reference, -1 for nowhere, ``places`` where
    it counts as being, and ``offsets`` which of the inserted ones it is. ``starts`` are where the
    edits begin.
    """

    bases: Codes
    origins: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    starts: list[int]


def _around(
    allele: Allele, window: Window, others: Sequence[Allele]
) -> tuple[int, int, list[Allele]]:
    """Return the stretch that all windows are in, and the edits in it, sorted."""
    start, end = allele.position, allele.position + len(allele.ref)
    edits = [allele]
    while True:
        left = sum(len(one.ref) for one in edits if one < allele)
        right = sum(len(one.ref) for one in edits if one > allele)
        low, high = start - window.length - 1 - left, end + window.length + 1 + right
        if not others:
            return low, high, edits
        near = [
            one for one in others if one.position + len(one.ref) >= low and one.position <= high
        ]
        found = sorted([allele, *near])
        if found == edits:
            low = min(low, edits[0].position)
            return low, max(high, edits[-1].position + len(edits[-1].ref)), edits
        edits = found


def _apply(reference: Codes, low: int, edits: Sequence[Allele]) -> _Local:
    """Return a stretch, which begins at a position, with its edits."""
    pieces: list[Codes] = []
    places: list[npt.NDArray[np.int64]] = []
    inserted: list[tuple[int, int]] = []
    starts = []
    done = size = 0
    for position, ref, alt in edits:
        at = position - low
        pieces += [reference[done:at], encode(alt)]
        starts.append(size + at - done)
        own = np.arange(len(alt))
        if len(alt) != len(ref):
            own = np.minimum(own, max(len(ref) - 1, 0))
            inserted.append((starts[-1], len(alt)))
        places += [np.arange(done, at), at + own]
        size, done = starts[-1] + len(alt), at + len(ref)
    pieces.append(reference[done:])
    places.append(np.arange(done, len(reference)))
    bases, at_places = np.concatenate(pieces), np.concatenate(places)
    origins, offsets = at_places.copy(), np.full(len(bases), -1)
    for start, count in inserted:
        origins[start : start + count] = -1
        offsets[start : start + count] = np.arange(count)
    return _Local(bases, origins, at_places, offsets, starts)


def _holds(
    window: Window, at: npt.NDArray[np.int64], start: int, end: int
) -> npt.NDArray[np.bool_]:
    """Return whether windows of sites have a base of an edit, or both sides of nothing."""
    held: npt.NDArray[np.bool_] = (at - window.before < end) & (at + window.after >= start)
    return held


def _cut(bases: Codes, at: npt.NDArray[np.int64], window: Window) -> Codes:
    """Return the windows of sites of a stretch that has all of them."""
    if not len(at):
        return np.empty((0, window.length), np.uint8)
    rows = np.lib.stride_tricks.sliding_window_view(bases, window.length)
    cut: Codes = rows[at - window.before]
    return cut
