"""What a model reads of windows or sites, against what `predict` makes of the same."""

import numpy as np
import pytest

from deepcpg_tf import SequenceFile, SiteFile, build_table, load_model, predict
from deepcpg_tf.data.table_file import read_table
from deepcpg_tf.errors import GenomeError, InputError, SequenceError, SiteError, TableError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import encode
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.workflows.inputs import ModelInputs
from tests import tolerances
from tests.contract.test_models import SMALL, random_weights
from tests.counting import Counting
from tests.workflows.test_modules import CELLS, CPG, JOINT, RUN

LENGTH = 101


@pytest.fixture(scope="module")
def genome():
    return Genome(RUN / "dna")


@pytest.fixture(scope="module")
def table(tmp_path_factory, genome):
    path = tmp_path_factory.mktemp("table") / "cells.h5ad"
    build_table([RUN / "cpg" / name for name in ("c1.tsv", "c2.tsv", "c3.tsv.gz")], genome, path)
    return path


@pytest.fixture(scope="module")
def sites(tmp_path_factory, table):
    """Sites of several chromosomes in any order, the first ones of a chromosome among them."""
    held = read_table(table)
    order = np.random.default_rng(0).permutation(len(held))[:40]
    order = np.append(order, np.searchsorted(held.chromosome_ids, range(len(held.chromosomes))))
    names = np.array(held.chromosomes)[held.chromosome_ids]
    path = tmp_path_factory.mktemp("sites") / "sites.tsv"
    path.write_text("".join(f"{names[i]}\t{held.positions[i] + 1}\n" for i in order))
    return path


@pytest.fixture
def sequences(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "windows.txt"
    path.write_text("".join("".join(rng.choice([*"ACGTN"], LENGTH)) + "\n" for _ in range(7)))
    return path


@pytest.fixture(scope="module")
def dna():
    return load_model(RUN / "model")


@pytest.fixture(scope="module")
def joint():
    return random_weights(new_model(JOINT))


def gathered(inputs, size):
    """All keys and arrays, of batches that are as large as asked for, but for the last."""
    batches = list(inputs.batches(size))
    sizes = [len(arrays["windows"]) for _, arrays in batches]
    assert all(one == size for one in sizes[:-1])
    assert 0 < sizes[-1] <= size
    for keys, arrays in batches:
        assert tuple(keys) == inputs.keys
        lengths = {len(one) for one in (*keys.values(), *arrays.values())}
        assert lengths == {len(arrays["windows"])}
    keys = {name: [x for one, _ in batches for x in one[name]] for name in inputs.keys}
    names = batches[0][1].keys()
    return keys, {name: np.concatenate([arrays[name] for _, arrays in batches]) for name in names}


def test_windows_of_a_file(dna, sequences):
    inputs = ModelInputs(dna, sequences=sequences)
    assert inputs.check() == 7
    assert inputs.keys == ("id",)
    assert inputs.genome is None
    for size in (3, 100):
        keys, arrays = gathered(inputs, size)
        assert keys == {"id": [str(i) for i in range(1, 8)]}
        assert arrays.keys() == {"windows"}
        expected = [encode(line) for line in sequences.read_text().split()]
        np.testing.assert_array_equal(arrays["windows"], expected)


def test_windows_around_sites(dna, sites, genome):
    inputs = ModelInputs(dna, sites=sites, genome=RUN / "dna")
    progress = Counting()
    count = inputs.check(progress)
    assert count == len(sites.read_text().splitlines())
    assert [line for line in progress.lines if "sites" in line and str(sites) in line]
    assert inputs.keys == ("chromosome", "position", "strand")
    assert inputs.genome.path == genome.path
    keys, arrays = gathered(inputs, 10)
    given = [line.split("\t") for line in sites.read_text().splitlines()]
    assert keys["chromosome"] == [name for name, _ in given]
    assert keys["position"] == [int(position) - 1 for _, position in given]
    for windows, (name, position) in zip(arrays["windows"], given, strict=True):
        (expected,) = genome.windows(name, np.array([int(position) - 1]), LENGTH)
        np.testing.assert_array_equal(windows, expected)


def test_neighbours_of_sites(joint, sites, genome, table):
    inputs = ModelInputs(joint, sites=sites, genome=genome, table=table)
    inputs.check()
    _, arrays = gathered(inputs, 16)
    assert arrays.keys() == set(joint.reads.names)
    expected = predict(joint, SiteFile(sites, genome, LENGTH), values="logits", table=table).table
    found = joint.predict_arrays(arrays, "logits")
    np.testing.assert_allclose(
        found,
        expected.select(CELLS).to_pandas().to_numpy(),
        atol=tolerances.logits(JOINT),
        rtol=0,
    )


def test_what_does_not_go_together(dna, joint, sequences, sites, table, genome):
    def refused(model, error=InputError, **given):
        with pytest.raises(error) as caught:
            ModelInputs(model, **given)
        return str(caught.value)

    assert refused(dna) == "input: expected `sequences` or `sites`, received none"
    assert "received both" in refused(dna, sequences=sequences, sites=sites, genome=genome)
    assert refused(dna, sites=sites) == "genome: expected the reference of `sites`, received none"
    assert "one with `sequences`" in refused(dna, sequences=sequences, genome=genome)
    assert "table: expected none with a dna module" in refused(
        dna, sites=sites, genome=genome, table=table
    )
    assert "table: expected a methylation table" in refused(joint, sites=sites, genome=genome)
    assert "expected `sites`, `genome` and `table` for a joint module" in refused(
        joint, sequences=sequences
    )
    assert "reads windows of DNA, received a cpg module" in refused(
        new_model(CPG), sites=sites, genome=genome
    )
    assert "x: expected a file, found none there" in refused(dna, sequences="x")
    other = new_model(SMALL["joint"])
    lacking = refused(other, TableError, sites=sites, genome=genome, table=table)
    assert "b" in lacking


def test_faults_are_found_before_anything_is_computed(dna, joint, tmp_path, table, genome):
    path = tmp_path / "windows.txt"
    path.write_text("A" * LENGTH + "\n" + "A" * (LENGTH - 1) + "\n")
    with pytest.raises(SequenceError, match="line 2: expected a window of 101 letters"):
        ModelInputs(dna, sequences=path).check()
    path.write_text("1\t1001\n3\t5\n")
    with pytest.raises((GenomeError, SiteError), match="3"):
        ModelInputs(dna, sites=path, genome=genome).check()
    path.write_text("1\t2\n1\t3\n1\t4\n")  # three in a row are never all CG
    inputs = ModelInputs(joint, sites=path, genome=genome, table=table)
    with pytest.raises(SiteError, match="CG"):
        inputs.check()
    assert ModelInputs(dna, sites=path, genome=genome).check() == 3


def test_as_the_same_source_is_predicted(dna, sequences):
    inputs = ModelInputs(dna, sequences=sequences)
    _, arrays = gathered(inputs, 4)
    expected = predict(dna, SequenceFile(sequences, LENGTH), values="logits").table
    np.testing.assert_allclose(
        dna.predict_arrays(arrays, "logits"),
        expected.select(CELLS).to_pandas().to_numpy(),
        atol=tolerances.RUN_LOGITS,
        rtol=0,
    )
