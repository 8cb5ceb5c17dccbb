import dataclasses
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf

import deepcpg_tf
from deepcpg_tf import DeepCpgError
from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.genome.sequence import one_hot
from deepcpg_tf.inputs import take
from deepcpg_tf.models.registry import load_model, new_model
from deepcpg_tf.variants.shuffles import shuffled_windows
from tests import tolerances
from tests.conftest import DATA
from tests.contract.test_models import DNA, random_weights

RUN = DATA / "original-run"
SITES = 300
CHECKPOINTS = [
    *sorted((DATA / "legacy").iterdir()),
    *sorted((DATA / "legacy-joint").glob("*-joint-*")),
]
ACGT = [0, 3, 2, 1]


def read(folder):
    """A checkpoint, and what it reads of twelve sites, some bases of which are N."""
    model = load_model(folder)
    with np.load(folder / "expected.npz") as expected:
        arrays = {"windows": expected["ids"].astype(np.uint8)}
        if "state" in expected:
            arrays |= {name: expected[name] for name in ("state", "dist")}
    return model, arrays


@pytest.fixture(scope="module")
def original():
    """The model of the original's run, and windows of its first sites."""
    with h5py.File(RUN / "data" / "c1_000000-000500.h5") as file:
        windows = file["inputs/dna"][:SITES].astype(np.uint8)
    return load_model(RUN / "model"), windows


@pytest.fixture(scope="module")
def joint():
    return read(DATA / "legacy-joint" / "keras1-joint-l2-rnnl1")


def summarised(values, summary):
    """Over the cells, [n]."""
    return values.mean(axis=1) if summary == "mean" else values.var(axis=1)


def gradients(model, rows):
    """Of the mean logit, through the whole Keras model; float32 [n, length, channels]."""
    rows = tf.constant(rows)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        mean = tf.reduce_mean(model(rows, training=False), axis=1)
    return tape.gradient(mean, rows).numpy()


@pytest.mark.parametrize("summary", ["mean", "var"])
def test_gradients_are_those_of_the_original(original, summary):
    model, windows = original
    tokens = np.frombuffer(b"ATGC", np.uint8)[windows]
    found = deepcpg_tf.attributions(model, {"tokens": tokens}, method="gradient", summary=summary)
    with np.load(RUN / "gradients.npz") as arrays:
        expected = arrays[summary]
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(
        found.values,
        expected[..., ACGT],
        rtol=0,
        atol=tolerances.gradients(model.config, tolerances.RUN_SIZE),
    )
    np.testing.assert_array_equal(found.tokens, tokens)
    probabilities = model.predict_windows(windows)
    expected = summarised(probabilities, summary)
    np.testing.assert_allclose(found.outputs, expected, atol=tolerances.RUN_PROBABILITIES)


def test_gradients_are_centred_over_letters(original):
    model, windows = original
    given = windows[:3].copy()
    given[:, 7] = 4
    found = deepcpg_tf.attributions(model, {"windows": given})
    mean = found.values.mean(axis=2)
    there = np.take_along_axis(found.values, np.array(ACGT)[given % 4][..., None], axis=2)[..., 0]
    np.testing.assert_allclose(found.hypothetical, found.values - mean[..., None])
    np.testing.assert_allclose(found.scores, np.where(given < 4, there - mean, 0), atol=1e-7)
    assert np.isnan(found.references).all()


@pytest.mark.parametrize("summary", ["mean", "var"])
@pytest.mark.parametrize("folder", CHECKPOINTS, ids=lambda folder: folder.name)
def test_deeplift_adds_up_to_the_difference(folder, summary):
    model, arrays = read(folder)
    found = deepcpg_tf.attributions(model, arrays, method="deeplift", summary=summary, shuffles=3)
    logits = model.predict_arrays(arrays, "logits")
    atol = tolerances.differences(model.config)
    if summary == "var":
        spread = np.abs(logits - logits.mean(axis=1, keepdims=True)).max()
        atol = tolerances.differences_of_variances(model.config, 2 * spread)

    outputs = summarised(logits, summary)
    np.testing.assert_allclose(found.outputs, outputs, rtol=0, atol=atol)
    shuffled = shuffled_windows(arrays["windows"], 3)
    of_references = [
        summarised(model.predict_arrays({**arrays, "windows": shuffled[:, i]}, "logits"), summary)
        for i in range(3)
    ]
    np.testing.assert_allclose(found.references, np.mean(of_references, axis=0), rtol=0, atol=atol)

    assert np.abs(found.outputs - found.references).max() > 100 * atol
    np.testing.assert_allclose(found.remainders, 0, rtol=0, atol=atol)
    np.testing.assert_array_equal(found.scores[arrays["windows"] == 4], 0)


def test_integrated_gradients_add_up_but_for_the_steps():
    """The midpoint rule is off by the variation of the slopes over twice the steps, at most."""
    model, arrays = read(DATA / "legacy" / "keras1-distributed")
    arrays = take(arrays, slice(4))
    own, start = one_hot(arrays["windows"]), one_hot(shuffled_windows(arrays["windows"], 1)[:, 0])
    slopes = []
    for share in (np.arange(256) + 0.5) / 256:
        between = start + np.float32(share) * (own - start)
        slopes.append((gradients(model, between) * (own - start)).sum(axis=(1, 2)))
    variation = np.abs(np.diff(slopes, axis=0)).sum(axis=0)

    error = tolerances.differences(model.config)
    for steps in (8, 64):
        found = deepcpg_tf.attributions(
            model, arrays, method="integrated-gradients", shuffles=1, steps=steps
        )
        assert (np.abs(found.remainders) <= variation / (2 * steps) + error).all()
    assert np.abs(found.remainders).max() < 0.1 * np.abs(found.outputs - found.references).max()
    np.testing.assert_allclose(
        found.outputs - found.references, np.mean(slopes, axis=0), atol=float(variation.max()) / 512
    )


@pytest.mark.parametrize("summary", ["mean", "var"])
def test_mutagenesis_is_of_whole_windows(joint, summary):
    model, arrays = joint
    arrays = take(arrays, slice(2))
    found = deepcpg_tf.attributions(model, arrays, method="mutagenesis", summary=summary)
    windows = arrays["windows"]
    before = model.predict_arrays(arrays, "logits")
    np.testing.assert_allclose(found.outputs, summarised(before, summary), rtol=1e-6)
    spread = 2 * np.abs(before - before.mean(axis=1, keepdims=True)).max()
    atol = {
        "mean": tolerances.differences(model.config),
        "var": tolerances.differences_of_variances(model.config, spread),
    }[summary]
    for place in (0, 40, 50):
        for letter, code in enumerate(ACGT):
            changed = windows.copy()
            changed[:, place] = code
            after = model.predict_arrays({**arrays, "windows": changed}, "logits")
            difference = summarised(after, summary) - summarised(before, summary)
            np.testing.assert_allclose(found.values[:, place, letter], difference, atol=atol)
    assert np.abs(found.values).max() > 30 * atol
    known = windows < 4
    there = np.take_along_axis(found.values, np.array(ACGT)[windows % 4][..., None], axis=2)
    np.testing.assert_array_equal(there[known], 0)
    np.testing.assert_allclose(found.scores[known], -found.values.mean(axis=2)[known], rtol=1e-5)
    np.testing.assert_array_equal(found.scores[~known], 0)


def test_contributions_of_letters_are_those_of_the_letters_that_are_there(original):
    """With another letter at a place, the contribution there is that of the letter."""
    model, windows = original
    one = windows[:1]
    found = deepcpg_tf.attributions(
        model, {"windows": one}, method="integrated-gradients", shuffles=2, steps=3
    )
    shuffled = shuffled_windows(one, 2)
    own = one_hot(one)
    expected = np.zeros((101, 4))
    for i in range(2):
        start = one_hot(shuffled[:, i])
        mean = np.mean(
            [
                gradients(model, start + np.float32(share) * (own - start))[0]
                for share in np.array([1, 3, 5]) / 6
            ],
            axis=0,
        )
        for letter in range(4):
            expected[:, letter] += ((np.eye(4)[letter] - start[0]) * mean).sum(axis=1) / 2
    np.testing.assert_allclose(found.hypothetical[0], expected[:, ACGT], atol=tolerances.RUN_LOGITS)


def test_a_joint_module_keeps_its_neighbours(joint):
    """Gradients of one cell, through parts, are those through the whole Keras model."""
    model, arrays = joint
    found = deepcpg_tf.attributions(model, arrays, cells=[model.cells[1]])
    assert found.cells == (model.cells[1],)
    rows = tf.constant(one_hot(arrays["windows"]))
    with tf.GradientTape() as tape:
        tape.watch(rows)
        beside = [tf.constant(arrays[name]) for name in ("state", "dist")]
        own = tf.sigmoid(model([rows, *beside], training=False)[:, 1])
    expected = tape.gradient(own, rows).numpy()[..., ACGT]
    np.testing.assert_allclose(
        found.values,
        expected,
        rtol=0,
        atol=tolerances.logits(model.config) * np.abs(expected).max(),
    )
    np.testing.assert_allclose(found.outputs, own, atol=tolerances.probabilities(model.config))


def test_a_model_with_a_channel_for_n():
    model = random_weights(new_model(dataclasses.replace(DNA, vocab_size=5)))
    rng = np.random.default_rng(0)
    windows = rng.integers(0, 5, (4, model.config.sequence_length)).astype(np.uint8)
    found = deepcpg_tf.attributions(model, {"windows": windows}, method="deeplift", shuffles=2)
    assert found.values.shape == (4, model.config.sequence_length, 4)
    np.testing.assert_allclose(
        found.remainders, 0, rtol=0, atol=tolerances.differences(model.config)
    )


def test_windows_do_not_depend_on_those_beside_them(original):
    model, windows = original
    how: dict[str, Any] = {"method": "deeplift", "shuffles": 2, "seed": 3}
    both = deepcpg_tf.attributions(model, {"windows": windows[:70]}, **how)
    one = deepcpg_tf.attributions(model, {"windows": windows[66:67]}, **how)
    np.testing.assert_allclose(both.scores[66], one.scores[0], atol=tolerances.RUN_LOGITS)


def test_nothing_is_nothing(original):
    model, windows = original
    assert deepcpg_tf.attributions(model, {"windows": windows[:0]}).values.shape == (0, 101, 4)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"method": "saliency"}, r"method: expected one of gradient, .*, received 'saliency'"),
        ({"summary": "max"}, r"summary: expected one of mean, var, received 'max'"),
        ({"cells": ["c9"]}, r"cells: expected some of c1, c2, c3, received 'c9'"),
        ({"cells": []}, r"cells: expected different ones, received none"),
        ({"cells": ["c1"], "summary": "var"}, r"summary: expected mean of a single cell, rec"),
        ({"shuffles": 0}, r"shuffles: expected at least 1, received 0"),
        ({"steps": 0}, r"steps: expected at least 1, received 0"),
        ({"seed": -1}, r"seed: expected at least 0, received -1"),
    ],
)
def test_what_is_refused(original, how, told):
    model, windows = original
    with pytest.raises(DeepCpgError, match=f"^{told}"):
        deepcpg_tf.attributions(model, {"windows": windows[:1]}, **how)


@pytest.mark.parametrize("name", ["keras1-cpg-rnnl1", "local"])
def test_modules_without_windows_are_refused(name):
    if name == "local":
        model = new_model(LocalConfig(hidden_sizes=(3,)))
    else:
        model = load_model(DATA / "legacy-joint" / name)
    with pytest.raises(DeepCpgError, match="^model: expected one that reads windows of DNA, rec"):
        deepcpg_tf.attributions(model, {})
