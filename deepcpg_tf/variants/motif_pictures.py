"""Pictures of motifs: logos, and all filters together as points and as a map."""

from __future__ import annotations

import io
import warnings
from typing import Literal

import logomaker
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from deepcpg_tf.variants.motifs import ACGT, FilterMotifs
from deepcpg_tf.variants.roles import FilterRoles

# Told apart with any kind of colour vision (Okabe and Ito).
_COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"}
_GUIDE = "#8A8A8A"
_DPI = 110
_MAX_NAMED = 60


def information(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the height of each letter of a motif [width, 4], in bits.

    A position has 2 bits where one letter is always there, and 0 where all are as frequent;
    its letters share them as they share the position.
    """
    shares = values.astype(np.float64)
    logs = np.log2(np.where(shares > 0, shares, 1))
    bits = 2 + (shares * logs).sum(axis=1, keepdims=True)
    return shares * np.maximum(bits, 0)


def logo_figure(values: npt.NDArray[np.floating]) -> Figure:
    """Draw a motif [width, 4] as letters, 2 bits high at most."""
    width = 0.32 * len(values) + 0.5
    figure = Figure(figsize=(width, 1.15))
    # At a fixed place, which is quicker than finding one.
    axes = figure.add_axes((0.42 / width, 0.06, 1 - 0.45 / width, 0.88))
    frame = pd.DataFrame(information(values), columns=[*ACGT])
    logomaker.Logo(frame, ax=axes, color_scheme=_COLOURS)
    axes.set(ylim=(0, 2), yticks=(0, 1, 2), xticks=())
    axes.set_ylabel("bits", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    return figure


def components_figure(roles: FilterRoles, motifs: FilterMotifs) -> Figure:
    """Draw each filter as a point: those that are active in the same windows lie together."""
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.subplots()
    x, y = roles.components.T
    points = axes.scatter(x, y, c=motifs.mean, cmap="viridis", s=26)
    for i in range(len(x)):
        axes.annotate(str(i), (x[i], y[i]), (3, 3), textcoords="offset points", fontsize=7)
    first, second = (f"component {i + 1} ({roles.explained[i]:.0%})" for i in range(2))
    axes.set(xlabel=first, ylabel=second)
    axes.spines[["top", "right"]].set_visible(False)
    figure.colorbar(points, label="mean activation")
    return figure


def correlations_figure(roles: FilterRoles) -> Figure:
    """Draw how each filter's activity goes with the cells, the most important filter on top."""
    maps = {"predictions": roles.predictions}
    if roles.labels is not None:
        maps["labels"] = roles.labels
    order, cells = roles.order, len(roles.cells)
    height = 1.8 + 0.11 * len(order)
    width = 2.2 + len(maps) * min(0.16 * cells + 1.2, 9)
    figure = Figure(figsize=(width, height), layout="constrained")
    for axes, (name, values) in zip(
        figure.subplots(1, len(maps), squeeze=False)[0], maps.items(), strict=True
    ):
        most = float(np.nanmax(np.abs(values), initial=0)) or 1.0
        image = axes.imshow(
            values[order], cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        axes.set_title(f"correlation with {name}", fontsize=9)
        axes.set_yticks(range(len(order)), [str(i) for i in order], fontsize=5.5)
        axes.set_ylabel("filter")
        if cells <= _MAX_NAMED:
            names = [cell[:28] for cell in roles.cells]
            axes.set_xticks(range(cells), names, rotation=90, fontsize=6, parse_math=False)
        else:
            axes.set_xlabel("cells")
        figure.colorbar(image, shrink=min(1.0, 3 / height))
    return figure


def picture(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """Return a figure as a file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": "deepcpg-tf"}):
        # A cell's name in a script that the font lacks shows as boxes.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()
