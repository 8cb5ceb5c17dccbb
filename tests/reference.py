"""DeepCpG's DNA module in NumPy, float64, written from its definition.

It shares no code with the package, so that full-size models, for which there are
no golden values, are not compared with themselves.
"""

import numpy as np


def random_windows(n, length, seed=0):
    """Codes A0 T1 G2 C3 N4, a tenth of them N."""
    rng = np.random.default_rng(seed)
    return rng.choice(5, size=(n, length), p=[0.225] * 4 + [0.1]).astype(np.uint8)


def random_tensors(config, seed=0):
    """Weights of a scale that keeps activations of order one, in Keras 3 layout."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {}
    channels, length = config.vocab_size, config.sequence_length
    convolutions = [name for name in config.layer_names if name.startswith("conv")]
    for name, filters, width, pool in zip(
        convolutions,
        config.conv_channels,
        config.conv_kernel_sizes,
        config.conv_pool_sizes,
        strict=True,
    ):
        shapes[f"dna/{name}"] = (width, channels, filters)
        channels, length = filters, (length - width + 1) // pool
    dense = next(name for name in config.layer_names if name.startswith("dense"))
    shapes[f"dna/{dense}"] = (channels * length, config.bottleneck_size)
    shapes["cpg"] = (config.bottleneck_size, len(config.cells))
    tensors = {}
    for name, shape in shapes.items():
        scale = 1.4 / np.sqrt(np.prod(shape[:-1]))
        tensors[f"{name}/kernel"] = rng.normal(0, scale, shape).astype(np.float32)
        tensors[f"{name}/bias"] = rng.normal(0, 0.1, shape[-1]).astype(np.float32)
    return tensors


def forward(config, tensors, windows):
    """Return embedding [n, bottleneck] and probabilities [n, cells]."""
    x = np.eye(5, 4)[windows]
    values = iter(np.asarray(tensor, np.float64) for tensor in tensors.values())
    for pool in config.conv_pool_sizes:
        kernel, bias = next(values), next(values)
        width = kernel.shape[0]
        length = x.shape[1] - width + 1
        x = sum(x[:, i : i + length] @ kernel[i] for i in range(width)) + bias
        x = np.maximum(x, 0)
        length //= pool
        x = x[:, : length * pool].reshape(len(x), length, pool, -1).max(axis=2)
    kernel, bias = next(values), next(values)
    embedding = np.maximum(x.reshape(len(x), -1) @ kernel + bias, 0)
    kernel, bias = next(values), next(values)
    return embedding, 1 / (1 + np.exp(-(embedding @ kernel + bias)))
