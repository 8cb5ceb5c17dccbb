"""The rules of DeepLIFT on numbers that are written out."""

import numpy as np
import pytest
import tensorflow as tf

import deepcpg_tf
from deepcpg_tf.genome.sequence import one_hot
from deepcpg_tf.models.registry import load_model
from deepcpg_tf.variants.rescale import pooled, rectified, squared
from deepcpg_tf.variants.shuffles import shuffled_windows
from tests import tolerances
from tests.conftest import DATA


def multiplied(rule, own, reference, upstream):
    own, reference = (tf.constant(x, tf.float32) for x in (own, reference))
    with tf.GradientTape() as tape:
        tape.watch(own)
        output = rule(own, reference)[0]
        total = tf.reduce_sum(output * upstream)
    return tape.gradient(total, own).numpy()


def test_a_rectifier():
    own, reference = [3.0, -1.0, 3.0, -2.0, 5.0, -5.0, 0.0], [1.0, 1.0, -1.0, -1.0, 5.0, -5.0, 0.0]
    expected = [1.0, 0.5, 0.75, 0.0, 1.0, 0.0, 0.0]
    np.testing.assert_array_equal(multiplied(rectified, own, reference, 1.0), expected)


def test_a_square():
    np.testing.assert_array_equal(multiplied(squared, [3.0, -2.0], [1.0, 2.0], 2.0), [8.0, 0.0])


@pytest.mark.parametrize(
    ("own", "reference", "expected"),
    [
        # The larger maximum is the window's: 5 - 3 goes to its place, where 5 - 1 differ.
        ([0.0, 5.0, 2.0], [3.0, 1.0, 0.0], [0.0, 0.5, 0.0]),
        # It is the reference's: 2 - 6 goes to its place, where 1 - 6 differ.
        ([1.0, 2.0, 0.0], [6.0, 0.0, 0.0], [0.8, 0.0, 0.0]),
        # Equal maxima, in one place and in two, and of several places the first.
        ([4.0, 0.0, 1.0], [4.0, 3.0, 2.0], [1.0, 0.0, 0.0]),
        ([4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 0.0]),
        ([2.0, 2.0, 1.0], [0.0, 0.0, 1.0], [0.5, 0.0, 0.0]),
    ],
)
def test_a_pool(own, reference, expected):
    own, reference = (np.reshape(x, (1, 1, 3, 1)) for x in (own, reference))
    found = multiplied(pooled, own, reference, 1.0)
    np.testing.assert_allclose(found.ravel(), expected, rtol=tolerances.FUNCTION)
    difference = own.max() - reference.max()
    np.testing.assert_allclose((found * (own - reference)).sum(), difference, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_contributions_are_those_of_shap():
    """Where shap is there: in development."""
    shap = pytest.importorskip("shap")
    import keras

    model = load_model(DATA / "original-run" / "model")
    rng = np.random.default_rng(0)
    windows = rng.integers(0, 5, (2, 101)).astype(np.uint8)
    shuffled = shuffled_windows(windows, 4, seed=1)
    found = deepcpg_tf.attributions(
        model, {"windows": windows}, method="deeplift", shuffles=4, seed=1
    )
    rows = keras.Input((101, 4))
    flat = rows  # without models in models, which shap cannot follow
    for layer in [*model.backbone.layers[1:], model.head]:
        flat = layer(flat)
    flat = keras.Model(rows, flat)
    for i in range(2):
        explainer = shap.DeepExplainer(flat, one_hot(shuffled[i]))
        theirs = explainer.shap_values(one_hot(windows[i : i + 1]), check_additivity=False)
        np.testing.assert_allclose(
            found.scores[i], theirs[0].mean(axis=-1).sum(axis=-1), atol=tolerances.RUN_LOGITS
        )
