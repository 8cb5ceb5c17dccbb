"""Profiles of the original program's run, and real ones."""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles.read import read_profile
from tests.conftest import DATA
from tests.profiles.texts import labels

RUN = DATA / "original-run"
REAL = Path(__file__).parents[3] / "shared" / "real-profiles"


@pytest.mark.parametrize("cell", ["c1", "c2", "c3"])
def test_profiles_of_the_original_run(cell):
    path = next((RUN / "cpg").glob(f"{cell}.*"))
    profile = read_profile(path, Genome(DATA / "genome" / "mini.fa"))
    assert profile.cell == cell
    assert profile.account.format == "deepcpg"
    expected: dict = {}
    for file in sorted((RUN / "data").glob("*.h5")):
        with h5py.File(file) as data:
            values = data["outputs/cpg"][cell][:]
            for chromosome, position, label in zip(
                data["chromo"][:].tolist(), data["pos"][:].tolist(), values.tolist(), strict=True
            ):
                if label >= 0:
                    expected.setdefault(chromosome.decode(), {})[position - 1] = label
    assert labels(profile) == expected
    assert profile.account.kept == sum(map(len, expected.values())) == profile.account.read


@pytest.mark.parametrize("cell", ["c1", "c2", "c3"])
def test_bedgraphs_of_the_original_run(cell):
    path = RUN / "bedgraph" / f"{cell}.bedGraph.gz"
    genome = Genome(DATA / "genome" / "mini.fa")
    profile = read_profile(path, genome, format="legacy-bedgraph")
    expected: dict = {}
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        chromosome, position, _, value = line.split("\t")
        if float(value) != 0.5:
            sites = expected.setdefault(chromosome.removeprefix("chr"), {})
            sites[int(position) - 1] = int(float(value) > 0.5)
    assert labels(profile) == expected
    assert profile.account.offsets[0] == profile.account.read == 2297
    for format_ in (None, "bedgraph"):
        with pytest.raises(ProfileError, match="2297 at -1.*: read it with the format legacy-bed"):
            read_profile(path, genome, format=format_)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} holds the profiles and is absent")
@pytest.mark.parametrize(("cell", "methylated"), [("BS27_4_SER", 4069), ("BS28_2_SER", 6859)])
def test_real_profiles(tmp_path, cell, methylated):
    path = REAL / f"{cell}.bed.gz"
    rows = [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    expected: dict = {"18": {}, "19": {}}
    for chromosome, position, value in rows:
        expected[chromosome][int(position) - 1] = int(float(value))
    text = ""
    for chromosome, sites in expected.items():
        letters = np.full(max(sites) + 2, ord("N"), np.uint8)
        positions = np.array(list(sites))
        letters[positions], letters[positions + 1] = ord("C"), ord("G")
        text += f">chr{chromosome}\n{letters.tobytes().decode()}\n"
    (tmp_path / "genome.fa").write_text(text)
    profile = read_profile(path, Genome(tmp_path / "genome.fa"))
    assert labels(profile) == {f"chr{name}": sites for name, sites in expected.items()}
    account = profile.account
    assert (profile.cell, account.format) == (cell, "deepcpg")
    assert (account.read, account.kept, account.dropped) == (len(rows), 10_000, {})
    assert sum(found.labels.sum() for found in profile.sites.values()) == methylated
