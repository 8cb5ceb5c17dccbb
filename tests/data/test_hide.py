"""Calls that are hidden to be predicted."""

from dataclasses import replace

import numpy as np
import pytest

from deepcpg_tf import hide_table, read_table, write_table
from deepcpg_tf.errors import OutputError, TableError
from tests.benchmarks.tables import make_table

TABLE = make_table(sites=2000)
STRETCH = 500


def stretches(table):
    """Return for each call its cell and stretch."""
    calls = table.calls.tocoo()
    ids, positions = table.chromosome_ids[calls.row], table.positions[calls.row]
    return list(zip(calls.col, ids, positions // STRETCH, strict=True))


def test_whole_stretches_of_cells_are_hidden():
    shown = hide_table(TABLE, share=0.2, stretch=STRETCH)
    gone = TABLE.calls - shown.calls
    gone.eliminate_zeros()
    left, hidden = set(stretches(shown)), set(stretches(replace(TABLE, calls=gone)))
    assert not left & hidden
    assert left | hidden == set(stretches(TABLE))
    assert (shown.calls != TABLE.calls).nnz == gone.nnz
    # Four standard deviations of so many draws.
    number = len(left | hidden)
    assert abs(len(hidden) / number - 0.2) < 4 * (0.2 * 0.8 / number) ** 0.5
    of_cells = np.diff(gone.tocsc().indptr)
    assert (of_cells > 0).all()
    np.testing.assert_array_equal(shown.positions, TABLE.positions)


def test_the_seed_says_which():
    one, same, other = (hide_table(TABLE, seed=seed).calls for seed in (1, 1, 2))
    assert (one != same).nnz == 0
    assert (one != other).nnz > 0


def test_file(tmp_path):
    write_table(TABLE, tmp_path / "cells.h5ad")
    hide_table(tmp_path / "cells.h5ad", tmp_path / "shown.h5ad", share=0.5)
    shown = read_table(tmp_path / "shown.h5ad")
    assert shown.settings["hidden"] == {"share": 0.5, "stretch": 1000, "seed": 0}
    assert (shown.calls != hide_table(TABLE, share=0.5).calls).nnz == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"share": 0}, "share: expected more than 0 and less than 1, received 0"),
        ({"share": float("nan")}, "share: expected more than 0 and less than 1, received nan"),
        ({"stretch": 0}, "stretch: expected at least 1 base, received 0"),
        ({"stretch": 10**9, "share": 1e-9}, "expected calls to hide and to keep with a share"),
    ],
)
def test_faults(more, message):
    with pytest.raises(TableError, match=message):
        hide_table(TABLE, **more)


def test_the_table_itself_is_not_written_over(tmp_path):
    write_table(TABLE, tmp_path / "cells.h5ad")
    with pytest.raises(OutputError, match="expected another file than the input"):
        hide_table(tmp_path / "cells.h5ad", tmp_path / "cells.h5ad")


def test_command(run, fails, tmp_path):
    write_table(TABLE, tmp_path / "cells.h5ad")
    out = tmp_path / "shown.h5ad"
    result = run("data", "hide", tmp_path / "cells.h5ad", "--share", "0.2", "--out", out)
    assert result.code == 0
    assert "6000 sites on 3 chromosomes, 5 cells" in result.out
    assert read_table(out).calls.nnz < TABLE.calls.nnz
    message = fails("data", "hide", tmp_path / "cells.h5ad", "--share", "2", "--out", out)
    assert "--share: expected more than 0 and less than 1, received 2" in message
