"""What substitutions do, against predictions of whole windows."""

import dataclasses
from typing import Any, get_args

import numpy as np
import pytest

import deepcpg_tf
from deepcpg_tf import DeepCpgDnaConfig, load_model, saturation_mutagenesis
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.errors import ConfigError, InputError, SequenceError
from deepcpg_tf.genome.sequence import letters_of_codes
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.variants import mutagenesis, substitutions
from deepcpg_tf.variants.mutagenesis import Mutagenist, Summary, summarised, whole_windows
from tests import reference, tolerances
from tests.conftest import DATA, bfloat16
from tests.contract.test_models import DNA, SMALL, random_arrays

ORDER = [0, 3, 2, 1]  # of A, C, G, T among the codes


def by_hand(model, arrays):
    """Every window with every letter in every place, one prediction each."""
    windows = arrays["windows"]
    count, length = windows.shape
    cells = len(model.cells)
    base = model.predict_arrays(arrays, "logits")[:, :cells]
    result = np.empty((count, length, 4, cells), np.float32)
    for i in range(count):
        many = np.repeat(windows[i][None], 4 * length, axis=0).reshape(length, 4, length)
        for place in range(length):
            many[place, :, place] = ORDER
        same = {
            name: np.repeat(array[i : i + 1], 4 * length, axis=0) for name, array in arrays.items()
        }
        same["windows"] = many.reshape(-1, length)
        logits = model.predict_arrays(same, "logits")[:, :cells]
        result[i] = logits.reshape(length, 4, cells) - base[i]
    return result


def size_of(model, arrays):
    """The largest activation of a model, which tolerances are relative to."""
    names = [name for name in model.original_names if not name.startswith("cpg/c")]
    hidden = model.activations(arrays, [name for name in names if "/" in name])
    logits = model.predict_arrays(arrays, "logits")
    return max(1.0, *(float(np.abs(one).max()) for one in (*hidden.values(), logits)))


def close(found, expected, model, arrays):
    """Twice the tolerance of a logit: each is a difference of two."""
    atol = 2 * tolerances.logits(model.config, size_of(model, arrays))
    assert np.abs(expected).max() > 100 * atol
    np.testing.assert_allclose(found, expected, atol=atol, rtol=0)


def scaled(model, seed=0):
    """Random weights that keep activations of order one."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        deviation = 1.4 / np.sqrt(np.prod(variable.shape[:-1])) if variable.ndim > 1 else 0.1
        variable.assign(rng.normal(0, deviation, variable.shape))
    return model


def windows_with_n(count, length=101):
    windows = reference.random_windows(count, length)
    windows[0] %= 4  # without N
    return windows


@pytest.mark.parametrize("name", [path.name for path in (DATA / "legacy").iterdir()])
def test_checkpoints(name):
    model = load_model(DATA / "legacy" / name)
    windows = windows_with_n(3)
    found = saturation_mutagenesis(model, {"windows": windows})
    assert found.values.shape == (3, 101, 4, len(model.cells))
    assert found.values.dtype == np.float32
    assert (found.letters, found.cells, found.summary) == ("ACGT", model.cells, None)
    expected = by_hand(model, {"windows": windows})
    close(found.values, expected, model, {"windows": windows})
    tokens = saturation_mutagenesis(DATA / "legacy" / name, {"tokens": letters_of_codes(windows)})
    np.testing.assert_array_equal(tokens.values, found.values)


ARCHITECTURES = {
    "one": ((9,), (11,), (4,)),
    "two": ((5, 6), (7, 3), (3, 2)),
    "three": ((6, 5, 7), (11, 3, 3), (4, 2, 2)),
    "wide kernels, odd pools": ((4, 5, 3), (6, 5, 4), (2, 3, 2)),
    "unpooled": ((6, 4), (4, 2), (1, 5)),
    "rows that no layer reads": ((4, 4), (2, 2), (2, 40)),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("vocab_size", [4, 5])
def test_any_convolutions_with_poolings(name, vocab_size):
    channels, kernels, pools = ARCHITECTURES[name]
    config = DeepCpgDnaConfig(
        vocab_size=vocab_size,
        sequence_length=101,
        conv_channels=channels,
        conv_kernel_sizes=kernels,
        conv_pool_sizes=pools,
        bottleneck_size=8,
        cells=("a", "b", "c"),
    )
    model = scaled(new_model(config))
    windows = windows_with_n(2)
    found = saturation_mutagenesis(model, {"windows": windows}).values
    close(found, by_hand(model, {"windows": windows}), model, {"windows": windows})
    read = config.receptive_length
    assert not found[:, read:].any()
    assert found[:, read - 8 : read].any()


@pytest.mark.full
@pytest.mark.parametrize("architecture", ["CnnL2h128", "CnnL3h128"])
def test_full_size(architecture):
    config = DeepCpgDnaConfig.from_architecture(architecture)
    model = new_model(config)
    tensors = reference.random_tensors(config)
    for name, variable in model.variables_by_name.items():
        variable.assign(tensors[name])
    arrays = {"windows": reference.random_windows(1, 1001)}
    found = saturation_mutagenesis(model, arrays).values
    close(found, by_hand(model, arrays), model, arrays)
    assert not found[:, 994:].any()


@pytest.mark.parametrize("architecture", ["CnnL2h128", "CnnL3h128"])
def test_some_substitutions_of_full_size(architecture):
    config = DeepCpgDnaConfig.from_architecture(architecture)
    model = new_model(config)
    tensors = reference.random_tensors(config)
    for name, variable in model.variables_by_name.items():
        variable.assign(tensors[name])
    arrays = {"windows": reference.random_windows(1, 1001)}
    found = saturation_mutagenesis(model, arrays).values[0]
    rng = np.random.default_rng(0)
    places = np.concatenate([np.arange(12), np.arange(985, 1001), rng.integers(0, 1001, 36)])
    letters = rng.integers(0, 4, len(places))
    many = np.repeat(arrays["windows"], len(places), axis=0)
    many[np.arange(len(places)), places] = np.array(ORDER)[letters]
    expected = model.predict_arrays({"windows": many}, "logits") - model.predict_arrays(
        arrays, "logits"
    )
    close(found[places, letters], expected, model, arrays)
    assert not found[994:].any()


@pytest.mark.parametrize("name", ["joint", "joint-0"])
def test_joint_modules(name):
    """The neighbours stay as they are."""
    model = scaled(new_model(SMALL[name]))
    arrays = random_arrays(model.reads, 3)
    found = saturation_mutagenesis(model, arrays).values
    close(found, by_hand(model, arrays), model, arrays)
    for neighbours in ("state", "dist"):
        other = {**arrays, neighbours: np.zeros_like(arrays[neighbours])}
        apart = np.abs(saturation_mutagenesis(model, other).values - found).max()
        # Where only the head reads both, what one does is the same whatever the other is.
        assert (apart > 1e-4) == (name == "joint")


def test_a_joint_checkpoint():
    model = load_model(DATA / "legacy-joint" / "keras1-joint-l2-rnnl1")
    arrays = random_arrays(model.reads, 2)
    found = saturation_mutagenesis(model, arrays).values
    close(found, by_hand(model, arrays), model, arrays)


def test_other_outputs_are_left_out():
    config = dataclasses.replace(DNA, outputs=("cpg_stats/mean", "cpg_stats/cat_var"))
    model = scaled(new_model(config))
    arrays = random_arrays(model.reads, 1)
    found = saturation_mutagenesis(model, arrays).values
    assert found.shape[-1] == len(config.cells) < config.units
    close(found, by_hand(model, arrays), model, arrays)


@pytest.fixture
def model():
    return scaled(new_model(DNA))


def test_the_letter_that_is_there_and_what_is_not_read_are_zero(model):
    windows = windows_with_n(4)
    found = saturation_mutagenesis(model, {"windows": windows}).values
    same = windows[:, :, None] == ORDER
    assert not found[same].any()
    read = model.config.receptive_length
    assert read < 101
    assert not found[:, read:].any()
    assert found[:, :read][~same[:, :read]].any(axis=-1).mean() > 0.9
    unknown = windows[:, :read] == 4
    assert found[:, :read][unknown].any(axis=-1).mean() > 0.9  # all four letters


def test_any_number_of_windows(model):
    windows = windows_with_n(mutagenesis.WINDOWS + 3)
    found = saturation_mutagenesis(model, {"windows": windows}).values
    for i in (0, mutagenesis.WINDOWS, len(windows) - 1):
        one = saturation_mutagenesis(model, {"windows": windows[i : i + 1]}).values[0]
        np.testing.assert_allclose(one, found[i], atol=2 * tolerances.TINY_LOGITS, rtol=0)
    none = saturation_mutagenesis(model, {"windows": windows[:0]}, summary="mean")
    assert none.values.shape == (0, 101, 4)


def test_fewer_windows_at_a_time_of_many_cells(model, monkeypatch):
    windows = windows_with_n(5)
    found = saturation_mutagenesis(model, {"windows": windows}).values
    monkeypatch.setattr(mutagenesis, "_VALUES", 2 * found[0].size)
    assert Mutagenist(model).batch == 2
    again = saturation_mutagenesis(model, {"windows": windows}).values
    np.testing.assert_allclose(again, found, atol=2 * tolerances.TINY_LOGITS, rtol=0)
    monkeypatch.setattr(mutagenesis, "_VALUES", 1)
    assert Mutagenist(model).batch == 1


def test_few_rows_at_a_time(model, monkeypatch):
    """However positions are put together, the numbers are the same."""
    windows = windows_with_n(3)
    found = saturation_mutagenesis(model, {"windows": windows}).values
    for number in (1, 40):
        monkeypatch.setattr(substitutions, "_ROWS", number)
        again = saturation_mutagenesis(model, {"windows": windows}).values
        np.testing.assert_allclose(again, found, atol=2 * tolerances.TINY_LOGITS, rtol=0)


def test_summaries(model):
    arrays = {"windows": windows_with_n(2)}
    values = saturation_mutagenesis(model, arrays).values.astype(np.float64)
    mean = values.sum(axis=3) / values.shape[3]
    expected = {
        "mean": mean,
        "var": ((values - mean[..., None]) ** 2).sum(axis=3) / values.shape[3],
        "l2": (values**2).sum(axis=3) ** 0.5,
    }
    for summary in get_args(Summary):
        found = saturation_mutagenesis(model, arrays, summary=summary)
        assert found.values.dtype == np.float32
        assert found.summary == summary
        np.testing.assert_allclose(found.values, expected[summary], rtol=1e-4, atol=1e-9)
    other: Any = "x"
    with pytest.raises(ConfigError, match="summary: expected one of mean, var, l2, received 'x'"):
        saturation_mutagenesis(model, arrays, summary=other)
    with pytest.raises(ConfigError, match="expected mean or l2 of a single cell, received var"):
        saturation_mutagenesis(model, arrays, summary="var", cells=model.cells[:1])
    letters: Any = {"tokens": ["ACGT"]}
    with pytest.raises(SequenceError, match="tokens: expected an array of uint8.* received list"):
        saturation_mutagenesis(model, letters)


def test_some_cells(model):
    arrays = {"windows": windows_with_n(2)}
    found = saturation_mutagenesis(model, arrays, cells=["a/c"])
    assert found.cells == ("a/c",)
    every = saturation_mutagenesis(model, arrays).values
    np.testing.assert_array_equal(found.values, every[..., 1:])
    turned = saturation_mutagenesis(model, arrays, cells=["a/c", "b"], summary="mean")
    np.testing.assert_allclose(
        turned.values, summarised(every, "mean"), rtol=0, atol=tolerances.UNIT * 10
    )
    with pytest.raises(ConfigError, match="cells: expected some of b, a/c, received 'x'"):
        saturation_mutagenesis(model, arrays, cells=["x"])
    for wrong in ([], ["b", "b"]):
        with pytest.raises(ConfigError, match="cells: expected different ones, received"):
            saturation_mutagenesis(model, arrays, cells=wrong)


@bfloat16
def test_other_arithmetic_goes_through_whole_windows():
    model = scaled(new_model(dataclasses.replace(DNA, sequence_length=61), "mixed_bfloat16"))
    arrays = {"windows": windows_with_n(1, 61)}
    with pytest.warns(UserWarning, match="expected float32 convolutions .*; whole windows are"):
        found = saturation_mutagenesis(model, arrays).values
    np.testing.assert_array_equal(found, whole_windows(model, arrays))
    np.testing.assert_allclose(
        found, by_hand(model, arrays), rtol=0, atol=2 * tolerances.bfloat16_logits(model.config)
    )


def test_it_checks_itself(model, monkeypatch):
    """What a fault would do: a base too far to the left, in one place of the code."""
    arrays = {"windows": windows_with_n(2)}
    expected = saturation_mutagenesis(model, arrays).values
    right = substitutions.Substitutions.deltas
    monkeypatch.setattr(
        substitutions.Substitutions, "deltas", lambda *given: np.roll(right(*given), 1, axis=1)
    )
    with pytest.warns(UserWarning, match="expected the logits of whole windows .* apart; whole w"):
        found = saturation_mutagenesis(model, arrays).values
    close(found, expected, model, arrays)


def test_its_bound_is_above_what_rounding_does_and_below_a_fault(model):
    arrays = {"windows": windows_with_n(1)}
    quick = Mutagenist(model)._quick
    bound = quick.rounding(arrays["windows"])
    values = saturation_mutagenesis(model, arrays).values
    assert np.abs(values - by_hand(model, arrays)).max() < bound
    assert bound < np.median(np.abs(values[values != 0])) / 100


def test_models_and_arrays_that_are_refused(model):
    windows = {"windows": windows_with_n(1)}
    for config in (
        DeepCpgCpgConfig(cells=("a",)),
        LocalConfig(),
        LocalConfig(groups=("own", "site"), dna=DNA),
    ):
        other = new_model(config)
        with pytest.raises(InputError, match="model: expected one that reads windows of DNA, rec"):
            saturation_mutagenesis(other, windows)
    headless = new_model(
        dataclasses.replace(DNA, head=dataclasses.replace(DNA.head, trained=False))
    )
    with pytest.raises(ConfigError, match="model: expected one with heads"):
        saturation_mutagenesis(headless, windows)
    statistics = new_model(
        dataclasses.replace(DNA, cells=(), num_labels=0, outputs=("cpg_stats/mean",))
    )
    with pytest.raises(
        ConfigError, match="model: expected a model of cells, .* cpg_stats/mean alo"
    ):
        saturation_mutagenesis(statistics, windows)
    with pytest.raises(InputError, match="windows: expected uint8 of shape"):
        saturation_mutagenesis(model, {"windows": np.zeros((1, 100), np.uint8)})
    with pytest.raises(SequenceError, match="tokens, row 0, position 1: expected the ASCII code"):
        saturation_mutagenesis(model, {"tokens": np.zeros((1, 101), np.uint8)})


def test_it_is_public():
    assert deepcpg_tf.saturation_mutagenesis is saturation_mutagenesis
