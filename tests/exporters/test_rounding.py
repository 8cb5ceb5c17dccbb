"""Weights on the grid of int8: what is lost, and what no processor can get wrong."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from deepcpg_tf import DeepCpgDnaConfig
from deepcpg_tf.exporters.artefact import BOUNDS
from deepcpg_tf.exporters.describe import describe
from deepcpg_tf.exporters.formats import Job, open_artefact
from deepcpg_tf.exporters.formats import onnx as format_onnx
from deepcpg_tf.exporters.formats import tflite as format_tflite
from deepcpg_tf.exporters.rounding import Fit, round_weights
from deepcpg_tf.exporters.runtimes import run
from deepcpg_tf.exporters.samples import draw_samples
from deepcpg_tf.models.registry import build_model
from deepcpg_tf.weights.checkpoint import Checkpoint
from tests.reference import random_tensors, random_windows

CONFIG = DeepCpgDnaConfig(
    sequence_length=201,
    num_labels=4,
    conv_channels=(24, 32),
    conv_kernel_sizes=(7, 3),
    conv_pool_sizes=(3, 2),
    bottleneck_size=48,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Sure of itself, so that a difference shows."""
    tensors = random_tensors(CONFIG)
    tensors["cpg/kernel"] *= 4
    return build_model(Checkpoint(CONFIG, tensors, {}, tmp_path_factory.mktemp("x")))


@pytest.fixture(scope="module")
def windows(model):
    return draw_samples(model).rounding_arrays()["windows"]


def kernels(model):
    layers = (layer for layer in model.backbone.layers if hasattr(layer, "kernel"))
    return [layer.kernel.numpy() for layer in layers]


def largest_pair(weights, channels):
    """The largest sum of two neighbours, in the order in which ONNX Runtime adds them up."""
    if weights.ndim == 2:
        weights = weights.reshape(-1, channels, weights.shape[-1]).swapaxes(0, 1)
    rows = weights.reshape(-1, weights.shape[-1])
    return np.abs(rows[:-1] + rows[1:]).max()


@pytest.mark.parametrize("fit", Fit)
def test_weights_are_on_the_grid(model, windows, fit):
    rounded = round_weights(model, {"windows": windows}, fit)
    for kernel, layer in zip(kernels(rounded.model), rounded.layers, strict=True):
        whole = kernel / layer.scale
        np.testing.assert_allclose(whole, np.round(whole), atol=1e-3)
        assert np.abs(whole).max() <= 127.001
        if fit is Fit.LARGEST:  # a converter finds the same scale
            reached = np.abs(whole).reshape(-1, whole.shape[-1]).max(0)
            np.testing.assert_allclose(reached, 127, atol=1e-3)


def test_less_is_lost_than_by_rounding_alone(model, windows):
    compared = random_windows(500, 201, seed=5)
    exact = model.predict_windows(compared, "logits")
    nearest = type(model).from_config(model.get_config())
    values = [value.copy() for value in model.get_weights()]
    for i in range(0, len(values) - 2, 2):
        scale = np.abs(values[i]).reshape(-1, values[i].shape[-1]).max(0) / 127
        values[i] = np.round(values[i] / scale) * scale
    nearest.set_weights(values)
    lost = {
        name: np.abs(other.predict_windows(compared, "logits") - exact).mean()
        for name, other in (
            ("nearest", nearest),
            ("largest", round_weights(model, {"windows": windows}, Fit.LARGEST).model),
            ("pairs", round_weights(model, {"windows": windows}, Fit.PAIRS).model),
        )
    }
    assert lost["largest"] < 0.7 * lost["nearest"]
    assert lost["pairs"] < 0.9 * lost["nearest"]


def test_a_channel_that_is_never_above_0(windows):
    tensors = random_tensors(CONFIG)
    for name, tensor in tensors.items():
        if name.endswith("bias") and name != "cpg/bias":
            tensor[:2] = -100
    tensors["cpg/kernel"][:] = 0
    model = build_model(Checkpoint(CONFIG, tensors, {}, "x"))
    rounded = round_weights(model, {"windows": windows}, Fit.PAIRS).model
    found, expected = (each.predict_windows(windows, "logits") for each in (rounded, model))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_no_pair_of_weights_is_too_large(model, windows):
    """255 times the sum of two neighbours fits into 16 bits; with the largest weights alone not."""
    for fit, fits in ((Fit.PAIRS, True), (Fit.LARGEST, False)):
        rounded = round_weights(model, {"windows": windows}, fit)
        channels = (0, *CONFIG.conv_channels)
        pairs = [
            largest_pair(np.round(kernel / layer.scale), number)
            for kernel, layer, number in list(
                zip(kernels(rounded.model), rounded.layers, channels, strict=True)
            )[1:]
        ]
        assert (max(pairs) <= 128) == fits


def multiply_as_without_vnni(inputs, weights):
    """``vpmaddubsw``: products of two neighbours added in 16 bits, cut off; then the sums."""
    odd = len(weights) % 2
    inputs, weights = np.pad(inputs, ((0, 0), (0, odd))), np.pad(weights, ((0, odd), (0, 0)))
    inputs, weights = inputs.astype(np.int64), weights.astype(np.int64)
    products = inputs[:, :, None] * weights[None]
    pairs = products[:, 0::2] + products[:, 1::2]
    return np.clip(pairs, -(2**15), 2**15 - 1).sum(1)


def test_an_exported_model_computes_the_same_without_vnni(model, tmp_path):
    """Whatever the inputs are: those that add up to the most, and random ones."""
    drawn = draw_samples(model)
    format_onnx.write(Job(model, "x", tmp_path, drawn, True, 1, describe(model, "x")))
    graph = onnx.load(tmp_path / "int8.onnx").graph
    tensors = [numpy_helper.to_array(tensor) for tensor in graph.initializer]
    weights = [tensor for tensor in tensors if tensor.dtype == np.int8 and tensor.ndim > 1]
    assert [tensor.ndim for tensor in weights] == [3, 3, 2]
    rng = np.random.default_rng(0)
    for tensor in weights:
        # As they are added up: [inputs, outputs], a convolution's channel by channel.
        matrix = tensor if tensor.ndim == 2 else tensor.transpose(2, 1, 0).reshape(-1, len(tensor))
        inputs = rng.integers(0, 256, (20, len(matrix)))
        if tensor is weights[0]:  # letters: one in four
            inputs = np.eye(4, dtype=int)[rng.integers(0, 4, (20, len(matrix) // 4))].reshape(
                20, -1
            )
        else:
            worst = 255 * (matrix.T[:10] > 0), 255 * (matrix.T[:10] < 0)
            inputs = np.concatenate([inputs, *worst])
        np.testing.assert_array_equal(
            multiply_as_without_vnni(inputs, matrix), inputs @ matrix.astype(np.int64)
        )


def test_the_emulation_notices():
    inputs, weights = np.full((1, 3), 255), np.full((3, 1), 127)
    assert multiply_as_without_vnni(inputs, weights) == 2**15 - 1 + 255 * 127


def test_letters_are_exact(model, tmp_path):
    """An input of 0 and 1 needs no scale, and N is all 0."""
    format_onnx.write(Job(model, "x", tmp_path, draw_samples(model), True, 1, describe(model, "x")))
    graph = onnx.load(tmp_path / "int8.onnx").graph
    (gather,) = (node for node in graph.node if node.op_type == "Gather")
    (table,) = (
        numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.name == gather.input[0]
    )
    assert table.dtype == np.uint8
    assert table.max() == 1
    assert table[ord("N")].sum() == 0


@pytest.mark.full
def test_channels_that_are_hardly_ever_above_0(tmp_path):
    """Scaled up all the way they would be beyond what LiteRT computes with."""
    tensors = random_tensors(CONFIG)
    for name in [name for name in tensors if name.startswith("dna/")]:
        tensors[name][..., :2] *= 1e-7
    model = build_model(Checkpoint(CONFIG, tensors, {}, tmp_path))
    (tmp_path / "tflite").mkdir()
    drawn = draw_samples(model)
    artefacts = format_tflite.write(
        Job(model, "x", tmp_path / "tflite", drawn, True, 1, describe(model, "x"))
    )
    expected = model.predict_arrays(drawn.parity)
    for artefact in artefacts:
        if artefact.precision == "int8":
            found = run(open_artefact(tmp_path, artefact), drawn.parity, artefact.batch)
            np.testing.assert_allclose(found["probabilities"], expected, atol=BOUNDS["int8"])
