"""Effects of variants as tables: one of sites, and one of variants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import expit

from deepcpg_tf.results.registry import check_table
from deepcpg_tf.results.vcf import Annotation
from deepcpg_tf.variants.edits import CLASSES
from deepcpg_tf.variants.effects import Floats, SiteEffects, Summary, summarise
from deepcpg_tf.variants.haplotypes import NO_CPG, Unit

_TEXT, _WHOLE, _COUNT, _REAL = pa.string(), pa.int64(), pa.int32(), pa.float32()
_VARIANT = [("chromosome", _TEXT), ("position", _WHOLE), ("ref", _TEXT), ("alt", _TEXT)]
_FIRST = ("ref", "alt", "dlogit")
_MORE = ("dp", "ref_logit", "alt_logit")
_HAPLOTYPE = [("haplotype", _COUNT)]


class Scored(NamedTuple):
    """Some units of a file, with their sites."""

    units: Sequence[Unit]
    effects: SiteEffects

    @property
    def reasons(self) -> list[str]:
        """Why each has no sites; nothing for those that have."""
        return [
            unit.reason or ("" if count else NO_CPG)
            for unit, count in zip(self.units, self.effects.counts.tolist(), strict=True)
        ]


def values_of(effects: SiteEffects) -> dict[str, Floats]:
    """Return all that is told of sites and cells, float32 [n, cells] by name."""
    ref, alt = expit(effects.ref), expit(effects.alt)
    return {
        "ref": ref,
        "alt": alt,
        "dlogit": effects.alt - effects.ref,
        "dp": alt - ref,
        "ref_logit": effects.ref,
        "alt_logit": effects.alt,
    }


def site_schema(cells: Sequence[str], *, phased: bool) -> pa.Schema:
    """Return the columns of the table of sites."""
    values = [(f"{cell}_{name}", _REAL) for cell in cells for name in _FIRST]
    values += [(f"{cell}_{name}", _REAL) for cell in cells for name in _MORE]
    sites = [("site", _WHOLE), ("class", _TEXT)]
    more = [("record", _WHOLE), ("id", _TEXT), ("reason", _TEXT), ("inserted", _COUNT)]
    return pa.schema([*_VARIANT, *sites, *values, *more, *(_HAPLOTYPE if phased else [])])


def variant_schema(*, phased: bool, ranked: bool) -> pa.Schema:
    """Return the columns of the table of variants."""
    counts = [(name, _COUNT) for name in CLASSES]
    change = [(f"{name}_dlogit", _REAL) for name in ("mean", "l2", "sd")]
    return pa.schema(
        [
            *_VARIANT,
            ("record", _WHOLE),
            ("id", _TEXT),
            *(_HAPLOTYPE if phased else []),
            ("reason", _TEXT),
            *counts,
            ("site", _WHOLE),
            *change,
            *([("quantile", _REAL)] if ranked else []),
        ]
    )


def check_tables(out: Path, cells: Sequence[str], *, phased: bool) -> None:
    """Refuse a table of sites that could not be written, and that of variants beside it.

    Raises
    ------
    OutputError
    """
    names = site_schema(cells, phased=phased).names
    values = [f"{cell}_{name}" for cell in cells for name in (*_FIRST, *_MORE)]
    check_table(out, [name for name in names if name not in values], values)
    check_table(beside(out))


def beside(out: Path) -> Path:
    """Return where the table of variants goes: beside that of sites, ``X.variants.parquet``."""
    name, dot, endings = out.name.rpartition(".tsv.gz")
    if not dot:
        name, dot, endings = out.name.rpartition(".")
    return out.with_name(f"{name}.variants{dot}{endings}")


def site_rows(scored: Scored, cells: Sequence[str], schema: pa.Schema) -> pa.RecordBatch:
    """Return a row for each site, and one for each unit without any."""
    effects = scored.effects
    counts = effects.counts
    # The row of a unit without sites reads one that is beyond all.
    owners = np.repeat(np.arange(len(counts)), np.maximum(counts, 1))
    beyond = len(effects.positions)
    rows = np.full(len(owners), beyond)
    rows[np.repeat(counts > 0, np.maximum(counts, 1))] = np.arange(beyond)
    none = rows == beyond
    own = np.minimum(rows, max(beyond - 1, 0))
    columns: dict[str, Any] = _told(scored, owners)
    if beyond:
        classes = pa.DictionaryArray.from_arrays(
            pa.array(effects.classes[own].astype(np.int32), mask=none), pa.array(CLASSES)
        )
        columns["class"] = classes.dictionary_decode()
        columns["site"] = pa.array(effects.positions[own], mask=none)
        offsets = effects.offsets[own]
        columns["inserted"] = pa.array(offsets, mask=none | (offsets < 0))
        for name, values in values_of(effects).items():
            for cell, column in zip(cells, np.ascontiguousarray(values.T), strict=True):
                taken = column[own]
                columns[f"{cell}_{name}"] = pa.array(taken, mask=none | np.isnan(taken))
    return _batch(columns, schema, len(owners))


def variant_rows(
    scored: Scored, schema: pa.Schema, background: npt.NDArray[np.float32] | None = None
) -> pa.RecordBatch:
    """Return a row for each unit; `background` are norms of other variants, sorted."""
    summary = summarise(scored.effects)
    columns = _told(scored, np.arange(len(scored.units)))
    unscored = np.array([unit.change is None for unit in scored.units], bool)
    for name in CLASSES:
        columns[name] = pa.array(getattr(summary, name).astype(np.int32), mask=unscored)
    none = summary.rows < 0
    if not none.all():
        columns["site"] = pa.array(scored.effects.positions[summary.rows], mask=none)
    for name in ("mean", "l2", "sd"):
        columns[f"{name}_dlogit"] = pa.array(getattr(summary, name), mask=none)
    if background is not None:
        columns["quantile"] = pa.array(quantiles(summary, background), mask=none)
    return _batch(columns, schema, len(scored.units))


def quantiles(summary: Summary, background: npt.NDArray[np.float32]) -> Floats:
    """Return the share of other variants, sorted, whose norm is at most that of each."""
    below = np.searchsorted(background, summary.l2, side="right")
    return (below / len(background)).astype(np.float32)


def without_quotes(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with `'` for quotation marks, which text cannot have: IDs and symbols may."""
    columns = [
        pc.replace_substring(column, '"', "'") if pa.types.is_string(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def annotations_of(scored: Scored) -> list[Annotation]:
    """Return one for each ALT: of its haplotypes, that whose change is the largest."""
    summary = summarise(scored.effects)
    found: dict[tuple[int, int], tuple[float, Annotation]] = {}
    for i, (unit, reason) in enumerate(zip(scored.units, scored.reasons, strict=True)):
        own, size = Annotation(reason=reason), -2.0
        if unit.change is not None:
            row = int(summary.rows[i])
            size = float(summary.l2[i]) if row >= 0 else -1.0
            own = Annotation(
                float(summary.mean[i]) if row >= 0 else None,
                int(scored.effects.positions[row]) if row >= 0 else None,
                float(summary.l2[i]) if row >= 0 else None,
                int(summary.kept[i]),
                int(summary.lost[i]),
                int(summary.gained[i]),
                reason,
            )
        key = unit.record.number, unit.alt
        if key not in found or size > found[key][0]:
            found[key] = size, own
    return [own for _, own in found.values()]


def _told(scored: Scored, owners: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return what is told of the units of some rows."""
    of_rows = pa.array(owners)
    units = scored.units

    def text(values: list[str]) -> pa.Array:
        return pa.array(values, _TEXT).take(of_rows)

    haplotypes = np.array([unit.haplotype for unit in units], np.int32)[owners]
    return {
        "chromosome": text([unit.record.chromosome for unit in units]),
        "position": pa.array([unit.record.position for unit in units], _WHOLE).take(of_rows),
        "ref": text([unit.record.ref for unit in units]),
        "alt": text([unit.record.alts[unit.alt] for unit in units]),
        "record": pa.array([unit.record.number for unit in units], _WHOLE).take(of_rows),
        "id": text([unit.record.identifier for unit in units]),
        "reason": text(scored.reasons),
        "haplotype": pa.array(haplotypes, mask=haplotypes == 0),
    }


def _batch(columns: dict[str, Any], schema: pa.Schema, rows: int) -> pa.RecordBatch:
    arrays = [
        columns[field.name] if field.name in columns else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
