import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcpg_tf import DeepCpgDnaConfig
from deepcpg_tf.genome.sequence import N_CODE
from deepcpg_tf.models.registry import build_model
from deepcpg_tf.scan import engine
from deepcpg_tf.scan.engine import ScanEngine
from deepcpg_tf.weights.checkpoint import Checkpoint
from tests import tolerances
from tests.counting import Counting
from tests.reference import forward, random_tensors


@st.composite
def configs(draw):
    convolutions = draw(st.integers(1, 3))
    widths = draw(st.lists(st.integers(1, 5), min_size=convolutions, max_size=convolutions))
    pools = draw(st.lists(st.integers(1, 4), min_size=convolutions, max_size=convolutions))
    shortest = 1
    for width, pool in zip(reversed(widths), reversed(pools), strict=True):
        shortest = shortest * pool + width - 1
    length = shortest + draw(st.integers(0, 25))
    return DeepCpgDnaConfig(
        sequence_length=length + 1 - length % 2,
        conv_channels=tuple(draw(st.integers(1, 6)) for _ in widths),
        conv_kernel_sizes=tuple(widths),
        conv_pool_sizes=tuple(pools),
        bottleneck_size=draw(st.integers(1, 8)),
        num_labels=draw(st.integers(1, 3)),
    )


def windows_of(codes, positions, length):
    padded = np.pad(codes, length, constant_values=N_CODE)
    first = np.asarray(positions) - length // 2 + length
    return np.stack([padded[i : i + length] for i in first])


@settings(deadline=None, max_examples=25)
@given(configs(), st.integers(0, 2**32 - 1), st.data())
def test_as_the_definition(config, seed, data):
    """Any architecture, sequence, tile, and number of shared convolutions."""
    rng = np.random.default_rng(seed)
    tensors = random_tensors(config, seed)
    model = build_model(Checkpoint(config, tensors, {}, "made up"))
    codes = rng.integers(0, 4, data.draw(st.integers(1, 400))).astype(np.uint8)
    for _ in range(data.draw(st.integers(0, 2))):
        start = rng.integers(len(codes))
        codes[start : start + 60] = N_CODE
    n = data.draw(st.integers(1, len(codes)))
    positions = np.sort(rng.choice(len(codes), n, replace=False))
    tile = data.draw(st.integers(1, 300))
    _, expected = forward(config, tensors, windows_of(codes, positions, config.sequence_length))
    for depth in range(len(config.conv_channels) + 1):
        scan = ScanEngine(model, tile=tile, depth=depth)
        found = 1 / (1 + np.exp(-scan.logits(codes, positions)))
        np.testing.assert_allclose(found, expected, atol=tolerances.probabilities(config), rtol=0)


@pytest.fixture(scope="module")
def model():
    config = DeepCpgDnaConfig.from_architecture("CnnL3h128", num_labels=3)
    tensors = random_tensors(config)
    return build_model(Checkpoint(config, tensors, {}, "made up"))


def test_full_size_equals_its_windows(model):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, 3000).astype(np.uint8)
    positions = np.sort(rng.choice(3000, 40, replace=False))
    positions[[0, -1]] = 0, 2999
    expected = model.predict_windows(windows_of(codes, positions, 1001), "logits")
    atol = tolerances.logits(model.config)
    for depth in range(4):
        found = ScanEngine(model, tile=1500, depth=depth).logits(codes, positions)
        np.testing.assert_allclose(found, expected, atol=atol, rtol=0)


def test_how_much_is_shared_depends_on_the_number_of_sites(model):
    scan = ScanEngine(model)
    found = [scan.depth(n) for n in (1, 20, 60, 120, 400, 1600)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0, 3)


def test_no_sites(model):
    assert ScanEngine(model).logits(np.zeros(10, np.uint8), np.array([], np.int64)).shape == (0, 3)


def test_few_sites_of_many_tiles_are_predicted_together(model):
    progress = Counting()
    codes = np.zeros(engine.TILE * 4, np.uint8)
    positions = np.arange(10, len(codes), engine.TILE // 2)
    ScanEngine(model).logits(codes, positions, progress=progress)
    assert progress.done == [8]
