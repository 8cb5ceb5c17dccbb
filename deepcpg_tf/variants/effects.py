"""What variants do to the logits of the sites near them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.names import DNA, LOCAL
from deepcpg_tf.data.neighbours import NeighbourReader
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.errors import ConfigError, InputError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import encode
from deepcpg_tf.genome.variants import Allele
from deepcpg_tf.genome.windows import stretch
from deepcpg_tf.inputs import Arrays, take
from deepcpg_tf.scan.engine import ScanEngine
from deepcpg_tf.scan.trunk import filled
from deepcpg_tf.variants.edits import GAINED, KEPT, LOST, Codes, Nearby, Window, nearby
from deepcpg_tf.variants.points import Points, Truncated, is_plain

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel, Tensors

Floats: TypeAlias = npt.NDArray[np.float32]

Strands = Literal["forward", "both"]
"""Which strands of a window are read."""

_COMPLEMENT = np.array([1, 0, 3, 2, 4], np.uint8)
_WINDOWS_AT_ONCE, _SUMS_AT_ONCE = 512, 1024


class Change(NamedTuple):
    """An allele on a chromosome of the genome, and what else its haplotype has near it, sorted."""

    chromosome: str
    allele: Allele
    others: tuple[Allele, ...] = ()


class SiteEffects(NamedTuple):
    """What some variants do to the sites near them: those of one after those of another.

    Attributes
    ----------
    counts : ndarray of int64, shape (variants,)
        Sites of each variant.
    positions : ndarray of int64, shape (n,)
    classes : ndarray of uint8, shape (n,)
    offsets : ndarray of int32, shape (n,)
        As of `deepcpg_tf.variants.edits.Nearby`.
    ref, alt : ndarray of float32, shape (n, cells)
        Logits of the reference and of the alternate allele; not a number where one has no such
        site.
    """

    counts: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    classes: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int32]
    ref: Floats
    alt: Floats


class Summary(NamedTuple):
    """What variants do as a whole: of sites that both alleles have, but for numbers of others.

    Attributes
    ----------
    kept, lost, gained : ndarray of int64, shape (variants,)
        Numbers of sites.
    rows : ndarray of int64, shape (variants,)
        Which of all sites changes most: that with the largest L2 norm over cells of the change of
        the logit, the first of several; -1 where none is kept.
    mean, l2, sd : ndarray of float32, shape (variants,)
        Of the change at that site over cells: the mean, the L2 norm, and the standard deviation
        (of all cells, not a sample of them). Not a number where there is none.
    """

    kept: npt.NDArray[np.int64]
    lost: npt.NDArray[np.int64]
    gained: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    mean: Floats
    l2: Floats
    sd: Floats


def check_effects(model: MethylationModel, strands: str = "forward") -> None:
    """Refuse a model that variants have no effects with.

    Raises
    ------
    InputError
        When it predicts entries of a table.
    ConfigError
        When it has no heads or no cells, or there are no such strands.
    """
    if strands not in get_args(Strands):
        raise ConfigError(
            f"strands: expected one of {', '.join(get_args(Strands))}, received {strands!r}"
        )
    if model.config.module == LOCAL:
        raise InputError(
            f"model: expected a dna, cpg or joint module, received a {LOCAL} module, which "
            "predicts entries of a table"
        )
    model.check_cells()


class EffectScorer:
    """Predicts the sites near variants in both alleles.

    Parameters
    ----------
    model
        Any module but the local one.
    genome
        The reference.
    neighbours
        Reads neighbouring sites, for a module that reads them; they stay as they are.
    strands
        ``"both"`` averages the logits of a window and of its reverse complement, centred on the C
        of the other strand, one base to the right.
    """

    def __init__(
        self,
        model: MethylationModel,
        genome: Genome,
        neighbours: NeighbourReader | None = None,
        strands: Strands | str = "forward",
    ) -> None:
        check_effects(model, strands)
        self._model = model
        self._genome = genome
        self._neighbours = neighbours
        self._cells = len(model.cells)
        self._reads_windows = DNA in model.parts
        self._both = strands == "both" and self._reads_windows
        length = 1
        if self._reads_windows:
            (length,) = model.reads.named("windows").shape
        part: Any = model.parts.get(DNA)
        self._points = None
        if part is not None and is_plain(part) and not self._both:
            truncated: Any = Truncated(model, part)
            self._points = Points(part)
            self._engine = ScanEngine(truncated)

            def finish(sums: tf.Tensor, others: Tensors) -> tf.Tensor:
                for layer in truncated.after:
                    sums = layer(sums, training=False)
                return model.head(model.join({DNA: sums, **others}))

            self._finish = tf.function(finish, reduce_retracing=True)
            self._others = tf.function(
                lambda arrays: model.embed_parts(arrays, but=DNA), reduce_retracing=True
            )
        else:
            self._engine = ScanEngine(model, neighbours)
        # What decides about the numbers beside model and genome.
        self.neighbours_digest = neighbours.digest() if neighbours is not None else None
        self.window = Window(length // 2, length + (self._both or not self._reads_windows))

    def effects(self, changes: Sequence[Change | None]) -> SiteEffects:
        """Return what changes do to the sites near them; one that is None has no sites.

        The same change gives the same numbers wherever it is among them.
        """
        codes: dict[str, Codes] = {}
        unique: dict[Change, int] = {}
        found: list[Nearby] = []
        for change in changes:
            if change is None or change in unique:
                continue
            name = change.chromosome
            if name not in codes:
                codes[name] = self._genome.codes(name)
            unique[change] = len(found)
            found.append(
                nearby(
                    codes[name],
                    change.allele,
                    self.window,
                    change.others,
                    kept_windows=not self._is_point(change),
                )
            )
        ref, alt = self._logits(list(unique), found, codes)
        own = [None if change is None else unique[change] for change in changes]
        return _in_order(own, found, ref, alt)

    def _logits(
        self, changes: Sequence[Change], found: Sequence[Nearby], codes: dict[str, Codes]
    ) -> tuple[Floats, Floats]:
        """Return the logits of all sites in both alleles."""
        sizes = np.array([len(one.positions) for one in found], np.int64)
        names = list(codes)
        owners = np.repeat(np.arange(len(changes)), sizes)
        ids = np.array([names.index(change.chromosome) for change in changes], np.int32)[owners]
        positions = _joined([one.positions for one in found], np.int64)
        classes = _joined([one.classes for one in found], np.uint8)
        unchanged = _joined([one.unchanged for one in found], np.bool_)
        ref = np.full((len(positions), self._cells), np.nan, np.float32)
        alt = ref.copy()
        new = classes != LOST
        changed = new & ~unchanged
        if not self._reads_windows:
            changed &= classes == GAINED  # what is read of kept sites stays
        is_point = np.array([self._is_point(change) for change in changes], bool)
        points = np.repeat(is_point, sizes) & (classes == KEPT)
        for i, name in enumerate(names):
            rows = np.flatnonzero((ids == i) & (classes != GAINED))
            at, back = np.unique(positions[rows], return_inverse=True)
            sites = SiteColumns([name], np.zeros(len(at), np.int32), at)
            if self._points is None:
                ref[rows] = self._reference(codes[name], sites)[back]
                continue
            sums, others = self._engine.embeddings(codes[name], at), self._embeddings(sites)
            ref[rows] = self._finished(sums, others)[back]
            some = points[rows]
            rows, back = rows[some], back[some]
            if len(rows):
                change = self._changes(changes, owners[rows], positions[rows], codes)
                alt[rows] = self._finished(sums[back] + change, take(others, back))
                unread = rows[~change.any(axis=1)]  # whatever the order of sums
                alt[unread] = ref[unread]
        rows = np.flatnonzero(changed & ~points)
        windows = (one.windows for one in found)
        whole = np.concatenate([np.empty((0, self.window.length), np.uint8), *windows])
        alt[rows] = self._alternate(
            whole[changed[new & ~points]], SiteColumns(names, ids[rows], positions[rows])
        )
        same = (classes == KEPT) & ~changed
        alt[same] = ref[same]
        return ref, alt

    def _reference(self, codes: Codes, sites: SiteColumns) -> Floats:
        """Return the logits of sites of the reference, sorted, each once."""
        positions, cells = sites.positions, slice(self._cells)
        forward = self._engine.logits(codes, positions, sites)[:, cells]
        if not self._both or not len(positions):
            return forward
        low = int(positions[0]) - self.window.length
        high = int(positions[-1]) + self.window.length
        turned = _COMPLEMENT[stretch(codes, low, high - low)[::-1]]
        sites = sites._replace(positions=positions[::-1])
        backward = self._engine.logits(turned, high - 2 - positions[::-1], sites)[::-1, cells]
        return (forward + backward) / np.float32(2)

    def _is_point(self, change: Change) -> bool:
        """Return whether one base takes the place of another, and only that is computed."""
        allele = change.allele
        is_one = len(allele.ref) == len(allele.alt) == 1 and not change.others
        return is_one and self._points is not None

    def _changes(
        self,
        changes: Sequence[Change],
        owners: npt.NDArray[np.int64],
        positions: npt.NDArray[np.int64],
        codes: dict[str, Codes],
    ) -> Floats:
        """Return what changes of one base do to the sums of sites, each near one of them."""
        assert self._points is not None
        used, points = np.unique(owners, return_inverse=True)
        own = [changes[i] for i in used.tolist()]
        places = np.array([one.allele.position for one in own])[points]
        return self._points.changes(
            np.stack(
                [self._points.stretch_of(codes[one.chromosome], one.allele.position) for one in own]
            ),
            encode("".join(one.allele.alt for one in own)),
            points,
            places - positions + self.window.before,
        )

    def _finished(self, sums: Floats, others: Arrays) -> Floats:
        """Return the logits of sums of the DNA part, with the embeddings of other parts."""
        result = np.empty((len(sums), self._cells), np.float32)
        for start in range(0, len(sums), _SUMS_AT_ONCE):
            part = slice(start, start + _SUMS_AT_ONCE)
            own = _filled({"sums": sums[part], **take(others, part)})
            logits = self._finish(own.pop("sums"), own).numpy()
            result[part] = logits[: len(result[part]), : self._cells]
        return result

    def _embeddings(self, sites: SiteColumns) -> Arrays:
        """Return the embeddings of the other parts than DNA."""
        if self._neighbours is None:
            return {}
        found: dict[str, list[Floats]] = {}
        for start in range(0, len(sites.positions), _SUMS_AT_ONCE):
            part = slice(start, start + _SUMS_AT_ONCE)
            count = len(sites.positions[part])
            for name, one in self._others(_filled(self._near(sites, part))).items():
                found.setdefault(name, []).append(one.numpy()[:count])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _near(self, sites: SiteColumns, part: slice) -> Arrays:
        """Return what is read of the neighbours of some sites."""
        if self._neighbours is None:
            return {}
        ids, positions = sites.chromosome_ids[part], sites.positions[part]
        return self._neighbours.arrays(SiteColumns(sites.chromosomes, ids, positions))

    def _alternate(self, windows: Codes, sites: SiteColumns) -> Floats:
        """Return the logits of windows, next to the neighbours of some sites."""
        if not self._both:
            return self._predict(windows, sites)
        forward = self._predict(windows[:, :-1], sites)
        backward = self._predict(_COMPLEMENT[windows[:, :0:-1]], sites)
        return (forward + backward) / np.float32(2)

    def _predict(self, windows: Codes, sites: SiteColumns) -> Floats:
        result = np.empty((len(windows), self._cells), np.float32)
        for start in range(0, len(windows), _WINDOWS_AT_ONCE):
            part = slice(start, start + _WINDOWS_AT_ONCE)
            count = len(windows[part])
            arrays = dict(self._near(sites, part))
            if self._reads_windows:
                arrays["windows"] = windows[part]
            # Few different shapes: for each new one, weights are brought into another order.
            arrays = {name: _more(array) for name, array in arrays.items()}
            logits = self._model.predict_arrays(arrays, "logits", _WINDOWS_AT_ONCE)
            result[part] = logits[:count, : self._cells]
        return result


def summarise(effects: SiteEffects) -> Summary:
    """Return what variants do as a whole."""
    variants = len(effects.counts)
    owners = np.repeat(np.arange(variants), effects.counts)
    kept, lost, gained = (
        np.bincount(owners[effects.classes == kind], minlength=variants)
        for kind in (KEPT, LOST, GAINED)
    )
    change = (effects.alt - effects.ref).astype(np.float64)
    size = np.where(effects.classes == KEPT, np.sqrt(np.square(change).sum(axis=1)), -1)
    rows = np.full(variants, -1)
    # Sorted by variant, then size; of equal ones the first comes first.
    order = np.lexsort((-size, owners))
    first = np.flatnonzero(np.diff(owners[order], prepend=-1))
    best = order[first]
    rows[owners[best]] = np.where(effects.classes[best] == KEPT, best, -1)
    mean, l2, sd = (np.full(variants, np.nan, np.float32) for _ in range(3))
    some = rows >= 0
    own = change[rows[some]]
    mean[some], sd[some] = own.mean(axis=1), own.std(axis=1)
    l2[some] = size[rows[some]]
    return Summary(kept, lost, gained, rows, mean, l2, sd)


def _in_order(
    own: Sequence[int | None], found: Sequence[Nearby], ref: Floats, alt: Floats
) -> SiteEffects:
    """Return the sites of each variant, by its index into what was found."""
    starts = np.cumsum([0, *(len(one.positions) for one in found)])
    counts = [0 if i is None else len(found[i].positions) for i in own]
    parts = [np.arange(starts[i], starts[i + 1]) for i in own if i is not None]
    rows = np.concatenate([np.empty(0, np.int64), *parts])

    def taken(column: Callable[[Nearby], npt.NDArray[np.generic]], kind: type) -> npt.NDArray[Any]:
        return _joined([column(one) for one in found], kind)[rows]

    return SiteEffects(
        np.array(counts, np.int64),
        taken(lambda one: one.positions, np.int64),
        taken(lambda one: one.classes, np.uint8),
        taken(lambda one: one.offsets, np.int32),
        ref[rows],
        alt[rows],
    )


def _joined(parts: Sequence[npt.NDArray[Any]], kind: type) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, kind), *parts])


def _filled(arrays: Arrays) -> dict[str, tf.Tensor]:
    return {name: tf.constant(_more(array)) for name, array in arrays.items()}


def _more(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array with as many rows as few batches have, those that are added being zero."""
    result = np.zeros((filled(len(array)), *array.shape[1:]), array.dtype)
    result[: len(array)] = array
    return result
