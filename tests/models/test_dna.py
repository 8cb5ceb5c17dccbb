import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction, DeepCpgDnaModel
from deepcpg_tf.errors import ConfigError, InputError, SequenceError
from deepcpg_tf.genome.sequence import decode, one_hot
from tests import tolerances
from tests.conftest import bfloat16
from tests.reference import forward, random_tensors, random_windows

TINY = DeepCpgDnaConfig(
    sequence_length=101,
    conv_channels=(8, 12),
    conv_kernel_sizes=(11, 3),
    conv_pool_sizes=(4, 2),
    bottleneck_size=16,
    cells=("b", "a", "c"),
)
LOGITS, PROBABILITIES = tolerances.logits(TINY), tolerances.probabilities(TINY)


def make_model(config=TINY, seed=0, **options):
    model = DeepCpgDnaForSequencePrediction(config, **options)
    for name, tensor in random_tensors(config, seed).items():
        model.variables_by_name[name].assign(tensor)
    return model


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.mark.parametrize("architecture", ["CnnL1h256", "CnnL2h128", "CnnL3h128"])
def test_equals_the_definition(architecture):
    """The reference is NumPy in float64, written from the paper alone."""
    config = DeepCpgDnaConfig.from_architecture(architecture, num_labels=5)
    tensors = random_tensors(config, seed=1)
    windows = random_windows(6, 1001, seed=2)
    embedding, probabilities = forward(config, tensors, windows)
    model = make_model(config, seed=1)
    assert model.count_params() == config.num_parameters
    found = model.predict_windows(windows)
    atol = tolerances.probabilities(config)
    np.testing.assert_allclose(found, probabilities, atol=atol, rtol=0)
    found = model.predict_windows(windows, "embedding")
    np.testing.assert_allclose(found, embedding, atol=tolerances.logits(config), rtol=0)


def test_layers_have_the_lengths_that_the_config_computes(model):
    for spec in TINY.layers:
        shape = model.backbone.get_layer(spec.name).output.shape[1:]
        assert np.prod(shape) == spec.length * spec.channels
        assert shape[-1] == spec.channels


def test_layers_mirror_the_original(model):
    layers = model.backbone.layers
    assert [type(layer).__name__ for layer in layers] == [
        *("InputLayer", "Conv1D", "Activation", "MaxPooling1D"),
        *("Conv1D", "Activation", "MaxPooling1D"),
        *("Flatten", "Dense", "Activation", "Dropout"),
    ]
    assert [layer.name for layer in layers] == ["dna", *TINY.layer_names]
    assert model.original_names[0] == "dna/convolution1d_1"
    assert model.original_names[-3:] == ["cpg/b", "cpg/a", "cpg/c"]


def test_activations_by_original_name(model):
    windows = random_windows(3, 101)
    found = model.activations({"windows": windows}, model.original_names)
    assert list(found) == model.original_names
    embedding = model.predict_windows(windows, "embedding")
    np.testing.assert_allclose(found["dna/dropout_1"], embedding, atol=LOGITS, rtol=0)
    np.testing.assert_array_equal(found["cpg/a"], model.predict_windows(windows)[:, 1:2])
    with pytest.raises(ConfigError, match="layer: expected one of dna/convolution1d_1.*'dna/x'"):
        model.activations({"windows": windows}, ["dna/x"])


def test_logits_are_those_of_the_probabilities(model):
    windows = random_windows(5, 101)
    logits = model.predict_windows(windows, "logits")
    probabilities = model.predict_windows(windows)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), probabilities, atol=PROBABILITIES, rtol=0)
    found = model.predict(one_hot(windows), verbose=0)
    np.testing.assert_allclose(found, logits, atol=LOGITS, rtol=0)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 4))
def test_a_batch_equals_one_by_one(model, seed, n, batch_size):
    windows = random_windows(n, 101, seed)
    together = model.predict_windows(windows, batch_size=batch_size)
    single = [model.predict_windows(windows[i : i + 1])[0] for i in range(n)]
    np.testing.assert_allclose(together, single, atol=PROBABILITIES, rtol=0)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_bases_beyond_the_receptive_length_are_not_read(model, seed, other):
    read = TINY.receptive_length
    assert read < 101
    windows = random_windows(4, 101, seed)
    changed = windows.copy()
    changed[:, read:] = random_windows(4, 101, other)[:, read:]
    np.testing.assert_array_equal(model.predict_windows(windows), model.predict_windows(changed))


def test_the_last_base_of_the_receptive_length_is_read(model):
    windows = np.repeat(random_windows(64, 101), 4, axis=0)
    windows[:, TINY.receptive_length - 1] = np.tile([0, 1, 2, 3], 64)
    logits = model.predict_windows(windows, "logits").reshape(64, 4, 3)
    assert (np.ptp(logits, axis=1) > 0).any()


def test_predict_sequences(model):
    windows = random_windows(3, 101)
    letters = [decode(codes) for codes in windows]
    np.testing.assert_array_equal(model.predict_sequences(letters), model.predict_windows(windows))
    assert model.predict_sequences([]).shape == (0, 3)


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (np.zeros((2, 100), np.uint8), r"shape \(n, 101\).*, received uint8 of shape \(2, 100\)"),
        (np.zeros(101, np.uint8), r"received uint8 of shape \(101,\)"),
        (np.zeros((2, 101)), "received float64"),
        (np.full((2, 101), 5, np.uint8), "expected values from 0 to 4, received 5"),
    ],
)
def test_faulty_windows(model, windows, message):
    with pytest.raises(InputError, match=message):
        model.predict_windows(windows)
    with pytest.raises(InputError, match=message):
        model.activations({"windows": windows}, ["dna/dense_1"])


def test_faulty_arguments(model):
    with pytest.raises(ConfigError, match="values: expected one of probabilities.*'p'"):
        model.predict_windows(np.zeros((1, 101), np.uint8), "p")
    with pytest.raises(ConfigError, match="batch_size: expected at least 1, received -1"):
        model.predict_windows(np.zeros((1, 101), np.uint8), batch_size=-1)
    with pytest.raises(ConfigError, match="expected a policy with float32 variables.*float16"):
        DeepCpgDnaForSequencePrediction(TINY, dtype="float16")
    with pytest.raises(SequenceError, match="expected a list of windows, received one string"):
        model.predict_sequences("A" * 101)


@pytest.mark.parametrize("vocab_size", [4, 5])
def test_keras_file_round_trip(tmp_path, vocab_size):
    config = DeepCpgDnaConfig.from_dict({**TINY.to_dict(), "vocab_size": vocab_size})
    model = make_model(config, provenance={"files": [{"name": "x"}]})
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, DeepCpgDnaForSequencePrediction)
    assert loaded.config == config
    assert loaded.provenance == {"files": [{"name": "x"}]}
    windows = random_windows(3, 101)
    np.testing.assert_array_equal(loaded.predict_windows(windows), model.predict_windows(windows))


@pytest.mark.full
def test_keras_file_in_another_process(tmp_path, model):
    """Importing the class is what registers it; no custom objects are passed."""
    model.save(tmp_path / "model.keras")
    code = (
        "import keras, sys\n"
        "from deepcpg_tf import DeepCpgDnaForSequencePrediction\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "assert type(model) is DeepCpgDnaForSequencePrediction\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "model.keras"], check=True)


def test_backbone_keras_file_round_trip(tmp_path):
    backbone = DeepCpgDnaModel(TINY)
    backbone.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras")
    assert isinstance(loaded, DeepCpgDnaModel)
    rows = one_hot(random_windows(3, 101))
    np.testing.assert_array_equal(loaded(rows), backbone(rows))


def test_the_unused_fifth_channel_changes_nothing():
    five = make_model(DeepCpgDnaConfig.from_dict({**TINY.to_dict(), "vocab_size": 5}))
    four = make_model()
    for name, variable in five.variables_by_name.items():
        value = four.variables_by_name[name].numpy()
        if name == "dna/convolution1d_1/kernel":
            value = np.concatenate([value, np.ones_like(value[:, :1])], axis=1)
        variable.assign(value)
    windows = random_windows(5, 101)
    found, expected = five.predict_windows(windows), four.predict_windows(windows)
    np.testing.assert_allclose(found, expected, atol=PROBABILITIES, rtol=0)


@bfloat16
def test_mixed_precision_keeps_float32_logits_and_variables(model):
    mixed = make_model(dtype="mixed_bfloat16")
    windows = random_windows(8, 101)
    assert mixed.backbone.get_layer("dense_1").compute_dtype == "bfloat16"
    assert {variable.dtype for variable in mixed.variables} == {"float32"}
    assert mixed(one_hot(windows)).dtype == tf.float32
    atol = tolerances.bfloat16_probabilities(TINY)
    found, expected = mixed.predict_windows(windows), model.predict_windows(windows)
    np.testing.assert_allclose(found, expected, atol=atol, rtol=0)
    copy = DeepCpgDnaForSequencePrediction.from_config(mixed.get_config())
    assert copy.backbone.get_layer("dense_1").compute_dtype == "bfloat16"


@pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("mixed_bfloat16", marks=[bfloat16, pytest.mark.full])]
)
def test_compiled_by_xla_it_trains_and_predicts(dtype):
    model = make_model(dtype=dtype)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=loss, jit_compile=True)
    rows, labels = one_hot(random_windows(32, 101)), np.eye(3, dtype="float32")[np.arange(32) % 3]
    losses = model.fit(rows, labels, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    logits = model.predict(rows, verbose=0)
    atol = LOGITS if dtype == "float32" else tolerances.bfloat16_logits(TINY)
    np.testing.assert_allclose(logits, model(rows), atol=atol, rtol=0)


def test_head_dropout_acts_in_training_only():
    config = DeepCpgDnaConfig.from_dict({**TINY.to_dict(), "head": {"dropout": 0.9}})
    model, plain = make_model(config), make_model()
    rows = one_hot(random_windows(4, 101))
    np.testing.assert_array_equal(model(rows, training=False), plain(rows, training=False))
    assert np.abs(model(rows, training=True) - plain(rows, training=True)).max() > 1e-3
