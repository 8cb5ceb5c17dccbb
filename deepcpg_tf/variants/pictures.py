"""A picture of what substitutions in a window do."""

from __future__ import annotations

import logomaker
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from deepcpg_tf.genome.sequence import LETTERS as CODED
from deepcpg_tf.variants.mutagenesis import CODES, LETTERS

STRETCH = 101
"""Bases whose letters are drawn: those together that matter most."""

# Told apart with any kind of colour vision (Okabe and Ito).
_COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"}
_LINE, _SHADE = "#4D4D4D", "#E8E8E8"


def importance(
    codes: npt.NDArray[np.uint8], values: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return how much each base of a window raises the logit, beside a letter at random there.

    Parameters
    ----------
    codes : ndarray of uint8, shape (length,)
    values : ndarray of float32, shape (length, 4)
        What each letter does there, in the order of `LETTERS`.

    Returns
    -------
    ndarray of float32, shape (length,)
        The value of the letter that is there, which is 0, less the mean over the letters;
        0 in place of N.
    """
    return np.where(codes < len(LETTERS), -values.mean(axis=1), np.float32(0))


def substitutions_figure(
    codes: npt.NDArray[np.uint8], values: npt.NDArray[np.float32], title: str
) -> Figure:
    """Draw a window: all of it as a line, the stretch that matters most as letters and a map.

    Parameters
    ----------
    codes, values
        As of `importance`.
    title
        What window and which cells it is of.
    """
    length = len(codes)
    heights = importance(codes, values)
    start = _stretch(heights)
    shown = np.arange(start, min(start + STRETCH, length))
    places = np.arange(length) - length // 2  # from the C of the CpG
    figure = Figure(figsize=(14, 5.4), layout="constrained")
    above, logo, below = figure.subplots(3, 1, height_ratios=(1, 1.6, 1.1))

    above.axvspan(places[shown[0]] - 0.5, places[shown[-1]] + 0.5, color=_SHADE)
    above.plot(places, heights, color=_LINE, lw=0.8)
    above.set(xlim=(places[0], places[-1]), ylabel="effect")
    above.set_title(title, loc="left", fontsize=10, parse_math=False)

    letters = (codes[shown, None] == CODES) * heights[shown, None]
    frame = pd.DataFrame(letters.astype(np.float64), index=places[shown], columns=[*LETTERS])
    logomaker.Logo(frame, ax=logo, color_scheme=_COLOURS)
    edges = (places[shown[0]] - 0.5, places[shown[-1]] + 0.5)
    logo.set(xlim=edges, ylabel="effect of the base")

    most = float(np.abs(values).max()) or 1.0
    image = below.imshow(
        values[shown].T,
        cmap="RdBu_r",
        vmin=-most,
        vmax=most,
        aspect="auto",
        interpolation="nearest",
        extent=(*edges, len(LETTERS) - 0.5, -0.5),
    )
    for i, letter in enumerate(LETTERS):
        there = places[shown][codes[shown] == CODED.index(letter)]
        below.plot(there, np.full(len(there), i), ".", color=_LINE, ms=3)
    below.set(yticks=range(len(LETTERS)), yticklabels=[*LETTERS], xlim=edges)
    below.set_xlabel("bases from the C of the CpG; a dot is the letter that is there")
    figure.colorbar(image, ax=below, label="Δ logit", pad=0.01)
    for axes in (above, logo):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _stretch(heights: npt.NDArray[np.float32]) -> int:
    """Return where the stretch begins that matters most, with what matters in its middle."""
    if len(heights) <= STRETCH:
        return 0
    best = int(np.convolve(np.abs(heights), np.ones(STRETCH), "valid").argmax())
    weights = np.square(heights[best : best + STRETCH], dtype=np.float64)
    middle = best + np.average(np.arange(STRETCH), weights=weights + 1e-30)
    return int(np.clip(round(middle) - STRETCH // 2, 0, len(heights) - STRETCH))
