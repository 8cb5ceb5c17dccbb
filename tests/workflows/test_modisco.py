"""TF-MoDISco reads what attributions write, and finds what the model looks for."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest

from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.genome.sequence import encode, letters_of_codes, one_hot
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.workflows.attributions import write_attributions

MOTIF = "TGACTCACGT"
WINDOWS = 300


@pytest.mark.full  # it compiles for minutes when it first runs on a machine
@pytest.mark.skipif(find_spec("modiscolite") is None, reason="the extra modisco is not installed")
def test_a_motif_that_is_planted_is_found(tmp_path):
    config = DeepCpgDnaConfig(
        sequence_length=101,
        conv_channels=(4,),
        conv_kernel_sizes=(10,),
        conv_pool_sizes=(4,),
        bottleneck_size=2,
        cells=("one", "two"),
    )
    model = new_model(config)
    kernel, bias, dense, offset, head, _ = (np.zeros(v.shape, np.float32) for v in model.weights)
    rng = np.random.default_rng(0)
    kernel[:] = rng.normal(0, 0.5, kernel.shape)  # scores that are noise, as any model has
    dense[:, 0] = rng.normal(0, 0.05, len(dense))
    kernel[:, :, 0] = one_hot(encode(MOTIF))
    bias[0] = -7.5  # at most two other letters
    dense[::4, 0], head[0] = 1, 2  # the first channel of each position
    model.set_weights([kernel, bias, dense, offset, head, np.zeros(2, np.float32)])

    windows = rng.integers(0, 4, (WINDOWS, 101)).astype(np.uint8)
    for window, place in zip(windows, rng.integers(20, 70, WINDOWS), strict=True):
        window[place : place + len(MOTIF)] = encode(MOTIF)
    lines = [row.tobytes().decode() for row in letters_of_codes(windows)]
    (tmp_path / "windows.txt").write_text("\n".join(lines) + "\n")
    out = tmp_path / "modisco"
    written = write_attributions(
        model, out, sequences=tmp_path / "windows.txt", method="deeplift", shuffles=5
    )
    assert written.windows == WINDOWS

    found = tmp_path / "found.h5"
    modisco = Path(sys.executable).with_name("modisco")
    given = ("-s", out / "ohe.npz", "-a", out / "shap.npz")
    how = ("-n", "2000", "-w", "100")  # it halves the width, so that 101 are one too many
    subprocess.run([modisco, "motifs", *given, *how, "-o", found], check=True, timeout=1500)
    with h5py.File(found) as file:
        assert [*file["pos_patterns"]] == ["pattern_0"]
        pattern = file["pos_patterns/pattern_0/sequence"][:]
    consensus = "".join("ACGT"[i] for i in pattern.argmax(axis=1))
    other = consensus.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    assert MOTIF in consensus or MOTIF in other
