"""How far apart two right programs can be: the tolerances of the tests, derived in one place.

A float32 sum or product is rounded by at most ``UNIT`` = 2^-24 of itself, so a sum of n
products is off by at most n * UNIT * sum(|x w|), whatever the order (Higham, *Accuracy and
Stability of Numerical Algorithms*, section 3.1). That needs all roundings to point the same
way. As they do not, the error of n of them grows like sqrt(n), and with partial sums no larger
than the activations (their "size", which stays alike from layer to layer),

    error of one sum  ~  0.3 * sqrt(n) * UNIT * size          (one standard deviation)

(0.3: a rounding is spread evenly over plus and minus UNIT, 1/sqrt(3), of a partial sum whose
root mean square is 1/sqrt(2) of the last, and 3/4 of the next power of two). Allowed are
sqrt(n) * UNIT * size, more than three of them, added up over all the layers with weights, and
taken twice, once for each of the two programs. That holds for any order of summation, with or
without fused products; blocked kernels stay far below it.

A probability is off by at most a quarter of its logit's error, the steepest slope of the
sigmoid, and a few roundings of the exponential.

`tests/test_tolerances.py` shows that sums of one term after the other, the worst order in use,
keep to this, and that the faults that tests must find are a thousand times larger.
"""

import math

import numpy as np

from deepcpg_tf import DeepCpgDnaConfig
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.joint import DeepCpgJointConfig

UNIT = 2.0**-24
"""Unit roundoff of float32."""

BFLOAT16_UNIT = 2.0**-9
"""Unit roundoff of bfloat16."""

FUNCTION = 4 * UNIT
"""Relative error of exp, log and the like in float32: at most four roundings."""

FLOAT64 = 1e-12
"""Relative: sums of up to a million float64 terms, 10 * sqrt(10^6) * 2^-53."""

SIZE = 6.0
"""The largest activation or logit of the tests' models that have random weights."""

RUN_SIZE = 12.0
"""The same of the model in ``fixtures/original-run``, which was trained."""

GRADIENT = 0.3
"""The largest gradient in any layer, of the same model."""


def terms(config):
    """Return the number of terms, bias included, of a sum in each layer of a module.

    A recurrent layer is as many layers as it has steps, each with two sums after each other.
    """
    if isinstance(config, DeepCpgJointConfig):
        sizes = [config.dna.embedding_size + config.cpg.embedding_size, *config.joint_sizes]
        return [*terms(config.dna)[:-1], *terms(config.cpg)[:-1], *(size + 1 for size in sizes)]
    if isinstance(config, DeepCpgCpgConfig):
        found, channels = [2 * config.neighbours + 1], config.shared_size
        for units in config.recurrent_sizes:
            found += [channels + units + 1] * 2 * len(config.input_cells)
            channels = 2 * units
        return [*found, config.embedding_size + 1]
    found, channels, length = [], config.vocab_size, config.sequence_length
    for filters, width, pool in zip(
        config.conv_channels, config.conv_kernel_sizes, config.conv_pool_sizes, strict=True
    ):
        found.append(width * channels + 1)
        channels, length = filters, (length - width + 1) // pool
    return [*found, channels * length + 1, config.bottleneck_size + 1]


def logits(config, size=SIZE):
    """Logits, embedding and any activation of a module."""
    return 2 * sum(map(math.sqrt, terms(config))) * UNIT * size


def probabilities(config, size=SIZE):
    """Probabilities of a module."""
    return logits(config, size) / 4 + FUNCTION


def gradients(config, size=SIZE, largest=GRADIENT):
    """Gradients of the mean or variance of a DNA module's probabilities, back to the bases.

    Through each layer goes back a sum over its outputs: of cells, of units, of the positions
    and channels that a convolution has for each base; partial sums are as large as the
    largest gradient of a layer. Before that, p (1 - p) is off by as much of itself as the
    logit is off, at most, and so is twice that p's difference from the mean.
    """
    convolutions = zip(config.conv_channels, config.conv_kernel_sizes, strict=True)
    backward = [len(config.cells), config.bottleneck_size]
    backward += [channels * width for channels, width in convolutions]
    way = 2 * sum(map(math.sqrt, backward)) * UNIT
    return (way + 2 * logits(config, size)) * largest


def differences(config, size=SIZE):
    """Difference of the logits of two inputs, and the sum of what bases contribute to it.

    As many sums go back as went forth.
    """
    return 2 * logits(config, size)


def differences_of_variances(config, spread, size=SIZE):
    """The same of the variance of logits, whose slope is twice how far they are off the mean."""
    return 2 * spread * differences(config, size)


def bfloat16_logits(config, size=SIZE):
    """Logits in bfloat16 against float32.

    Sums are in float32, but inputs and weights are rounded, which averages out over a sum
    of many; allowed is one rounding of each of the two a layer.
    """
    return 2 * len(terms(config)) * BFLOAT16_UNIT * size


def bfloat16_probabilities(config, size=SIZE):
    """Probabilities in bfloat16 against float32."""
    return bfloat16_logits(config, size) / 4


def sums(n):
    """Relative, of sums of n float32 terms of one sign: a loss, a penalty."""
    return 2 * (math.sqrt(n) * UNIT + FUNCTION)


def trained(n, steps):
    """Relative, of the loss after some steps of training with gradients of n terms.

    A step moves the loss by no more than the loss, and is off by no more than its gradient:
    where a gradient is lost in rounding, it does not matter to the loss either.
    """
    return (1 + steps) * sums(n)


ADAM = 1e-3
"""Of the way that all weights went: Adam divides a gradient by its own size and 1e-7.

Gradients of 1e-9, lost in rounding, go up to a hundredth of a step anywhere; were they those
of one weight in a hundred, sqrt(1 / 100) / 100 of the way would be chance.
"""


def auc(labels, probabilities, error):
    """Area under the curve where every logit may be off by so much: the pairs that can swap."""
    off = probabilities * (1 - probabilities) * error + FUNCTION
    methylated, other = labels == 1, labels == 0
    apart = np.abs(probabilities[methylated][:, None] - probabilities[other])
    return np.mean(apart <= off[methylated][:, None] + off[other]) + FLOAT64


_SMALL = DeepCpgDnaConfig(
    sequence_length=101,
    conv_channels=(8, 12),
    conv_kernel_sizes=(11, 3),
    conv_pool_sizes=(4, 2),
    bottleneck_size=16,
)

TINY_LOGITS, TINY_PROBABILITIES = logits(_SMALL), probabilities(_SMALL)
"""Of the checkpoints in ``fixtures/legacy`` that have two convolutions."""

RUN_LOGITS, RUN_PROBABILITIES = logits(_SMALL, RUN_SIZE), probabilities(_SMALL, RUN_SIZE)
"""Of the model in ``fixtures/original-run``."""
