import os
import subprocess
import sys
from pathlib import Path

import deepcpg_tf


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    """Here, that no file may be larger; HDF5 by itself prints more, or ends the process."""
    code = """
import resource, sys
from pathlib import Path
import numpy as np, scipy.sparse
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.data.table import MethylationTable, Reference
from deepcpg_tf.data.table_file import write_table
from deepcpg_tf.errors import OutputError
from deepcpg_tf.weights.checkpoint import Checkpoint
from deepcpg_tf.weights.preset_folder import save_folder

folder, n = Path(sys.argv[1]), 100_000
rng = np.random.default_rng(0)
labels = scipy.sparse.csr_matrix(rng.choice(np.array([-1, 0, 1], np.int8), (n, 3)))
table = MethylationTable(
    ("a", "b", "c"), ("1",), np.zeros(n, np.int32), np.arange(n) * 3, labels, Reference("g", "0")
)
config = DeepCpgDnaConfig(cells=("a", "b"))
tensors = {name: np.zeros(shape, np.float32) for name, shape in config.tensor_shapes.items()}
checkpoint = Checkpoint(config, tensors, {}, "here")
for limit in (0, 3_000, 100_000, 200_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for write in (
        lambda: write_table(table, folder / "table.h5ad"),
        lambda: save_folder(checkpoint, folder / "model"),
    ):
        try:
            write()
        except OutputError as error:
            print(error)
"""
    root = Path(deepcpg_tf.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = [f"{tmp_path / name}: cannot write there: File too large" for name in FILES]
    assert done.stdout.splitlines() == 4 * told
    assert list(tmp_path.iterdir()) == []


FILES = ("table.h5ad", "model")
