"""The network of a local module on features that lie feature by feature, a core at a time.

What cells at a site share is computed once a site. The numbers are those of the model, to
rounding.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.configs.names import HEAD
from deepcpg_tf.local.features import Features

Floats = npt.NDArray[np.float32]

_ENTRIES_AT_ONCE = 1 << 14


class Network:
    """Computes logits of entries.

    Parameters
    ----------
    config
        Of the module.
    tensors
        Its weights, by name.
    """

    def __init__(self, config: LocalConfig, tensors: Mapping[str, Floats]) -> None:
        paths = [
            path
            for path, spec in zip(config.layer_paths, config.layers, strict=True)
            if spec.kind == "dense"
        ]
        layers = [
            (np.ascontiguousarray(tensors[f"{path}/kernel"].T), tensors[f"{path}/bias"][:, None])
            for path in (*paths, HEAD)
        ]
        (first, self._bias), *self._others = layers
        cell, values = len(config.cell_features), len(config.feature_names)
        self._cell = np.ascontiguousarray(first[:, :cell])
        self._site = np.ascontiguousarray(first[:, cell:values])
        self._embedding = np.ascontiguousarray(first[:, values:])

    def logits(self, features: Features, embedding: Floats | None = None) -> Floats:
        """Return the logits of all cells at some sites, float32 [sites, cells].

        Parameters
        ----------
        features
            Of n sites.
        embedding : ndarray of float32, shape (n, size), optional
            Of the DNA around them.
        """
        count, sites, cells = features.cell.shape
        shared = self._site @ features.site + self._bias
        if embedding is not None:
            shared += self._embedding @ embedding.T
        result = np.empty((sites, cells), np.float32)
        step = max(_ENTRIES_AT_ONCE // cells, 1)
        for start in range(0, sites, step):
            rows = slice(start, start + step)
            own = features.cell[:, rows]
            values = self._cell @ own.reshape(count, -1)
            values.reshape(len(values), -1, cells)[:] += shared[:, rows, None]
            for kernel, bias in self._others:
                np.maximum(values, 0, out=values)
                values = kernel @ values
                values += bias
            result[rows] = values.reshape(-1, cells)
        return result
