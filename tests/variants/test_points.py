"""What one base changes, against whole windows."""

import dataclasses

import numpy as np
import pytest

from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import decode
from deepcpg_tf.genome.variants import Allele
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.variants.edits import CLASSES
from deepcpg_tf.variants.effects import Change, EffectScorer
from tests import tolerances
from tests.contract.test_models import DNA, random_weights

SMALL = {
    "two": DNA,
    "three": dataclasses.replace(
        DNA, layer_names=(),
        conv_channels=(6, 7, 5), conv_kernel_sizes=(5, 3, 2), conv_pool_sizes=(2, 3, 2),
    ),
    "one": dataclasses.replace(
        DNA, layer_names=(), conv_channels=(6,), conv_kernel_sizes=(4,), conv_pool_sizes=(3,)
    ),
    "without pooling": dataclasses.replace(DNA, layer_names=(), conv_pool_sizes=(1, 1)),
    "five channels": dataclasses.replace(DNA, vocab_size=5),
}  # fmt: skip


def check(model, tmp_path, sites, size):
    """Compare substitutions of every kind with predictions of whole windows."""
    config = model.config
    rng = np.random.default_rng(0)
    length = config.sequence_length
    letters = np.array(list("ACGTACGTACGTACGTN"))[rng.integers(0, 17, 3 * length)]
    text = "".join(letters)
    (tmp_path / "genome.fa").write_text(f">1\n{text}\n")
    scorer = EffectScorer(model, Genome(tmp_path / "genome.fa"))
    assert scorer._points is not None
    changes = []
    for place in rng.integers(0, len(text), sites).tolist():
        ref = text[place]
        changes.append(Change("1", Allele(place, ref, "ACGT"[("ACGTN".index(ref) + 1) % 4])))
    effects = scorer.effects(changes)
    owners = np.repeat(np.arange(sites), effects.counts)
    half = length // 2
    padded = "N" * half + text + "N" * half
    old, new = [], []
    for owner, at in zip(owners.tolist(), effects.positions.tolist(), strict=True):
        place, _, alt = changes[owner].allele
        changed = padded[: half + place] + alt + padded[half + place + 1 :]
        old.append(padded[at : at + length])
        new.append(changed[at : at + length])
    kept = effects.classes == CLASSES.index("kept")
    assert kept.sum() > 3 * sites
    rows = np.flatnonzero(kept)

    def predicted(windows):
        tokens = np.array([[ord(one) for one in windows[i]] for i in rows], np.uint8)
        return model.predict_arrays({"tokens": tokens}, "logits")

    ref, alt = predicted(old), predicted(new)
    atol = tolerances.logits(config, size)
    np.testing.assert_allclose(effects.ref[rows], ref, rtol=0, atol=atol)
    np.testing.assert_allclose(effects.alt[rows], alt, rtol=0, atol=atol)
    change = alt - ref
    np.testing.assert_allclose(effects.alt[rows] - effects.ref[rows], change, rtol=0, atol=2 * atol)
    assert np.abs(change).max() > 100 * atol
    # What no layer reads changes nothing at all.
    places = np.array([changes[i].allele.position for i in owners[rows]]) - effects.positions[rows]
    unread = places + half >= config.receptive_length
    np.testing.assert_array_equal(effects.alt[rows][unread], effects.ref[rows][unread])


@pytest.mark.parametrize("name", SMALL)
def test_whole_windows(name, tmp_path):
    check(random_weights(new_model(SMALL[name])), tmp_path, 200, tolerances.SIZE)


@pytest.mark.full
@pytest.mark.parametrize("architecture", ["CnnL2h128", "CnnL3h128"])
def test_whole_windows_of_full_size(architecture, tmp_path):
    config = DeepCpgDnaConfig.from_architecture(architecture, cells=("a", "b"))
    # With the weights of a module before training, activations stay below 1.
    check(new_model(config), tmp_path, 8, 1.0)


def test_the_base_is_in_the_middle(tmp_path):
    (tmp_path / "genome.fa").write_text(">1\nACGTACGT\n")
    genome = Genome(tmp_path / "genome.fa")
    points = EffectScorer(new_model(DNA), genome)._points
    stretch = decode(points.stretch_of(genome.codes("1"), 2))
    middle = len(stretch) // 2
    assert len(stretch) == 2 * middle + 1
    assert stretch[middle - 2 : middle + 6] == "ACGTACGT"
    assert set(stretch[: middle - 2]) == {"N"}
