"""Elements of AnnData files: read as they are, and refused where they cannot be."""

from __future__ import annotations

import warnings
from typing import Any

import h5py
import scipy.sparse

from deepcpg_tf.hdf5 import check_stored


def read_element(file: h5py.File, name: str) -> Any:
    """Return an element of a file as anndata reads it.

    Raises
    ------
    KeyError
        When there is none of that name.
    ValueError
        When it is damaged.
    """
    from anndata.io import read_elem

    element = file[name]
    check_stored(element)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that nothing here was written in
            return read_elem(element)
    except Exception as error:  # anndata's own have no class in common
        raise ValueError(f"{name}: {error or type(error).__name__}") from None


def read_sparse(file: h5py.File, name: str) -> Any:
    """Return a sparse matrix by rows or columns, with a value a place at most.

    SciPy takes indices for right: others would have it read and write memory of others.

    Raises
    ------
    KeyError
        When there is none of that name.
    ValueError
        When it is dense or damaged.
    """
    matrix = read_element(file, name)
    if not scipy.sparse.issparse(matrix):
        raise ValueError(f"expected a sparse matrix as {name}, received a dense one")
    for array, kinds in ((matrix.data, "biuf"), (matrix.indices, "iu"), (matrix.indptr, "iu")):
        if array.ndim != 1 or array.dtype.kind not in kinds:
            raise ValueError(
                f"expected arrays of numbers in {name}, received {array.dtype} of shape "
                f"{array.shape}"
            )
    try:
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    matrix.sort_indices()
    if not matrix.has_canonical_format:
        raise ValueError(f"expected a value a cell and site in {name}, received several of one")
    return matrix
