"""The architecture of a DeepCpG DNA module as data.

Source: Angermueller et al., Genome Biology 18:67 (2017), and the models of the
original program. The field names are those of MultiMolecule's configuration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from deepcpg_tf.configs._fields import (
    check_layer_names,
    check_rate,
    is_integer,
    positive_integers,
    strings,
)
from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.layers import LayerSpec, dna_kinds, dna_layers, numbered_names
from deepcpg_tf.configs.names import DNA
from deepcpg_tf.errors import ConfigError
from deepcpg_tf.genome.sequence import N_CODE
from deepcpg_tf.inputs import Input, Inputs
from deepcpg_tf.presets import SERUM_CELLS

# One entry a convolution: channels, kernel size, pool size.
_L1 = ((128, 11, 4),)
_L2 = (*_L1, (256, 3, 2))
_L3 = (*_L2, (512, 3, 2))

ARCHITECTURES: dict[str, tuple[tuple[tuple[int, int, int], ...], int]] = {
    "CnnL1h128": (_L1, 128),
    "CnnL1h256": (_L1, 256),
    "CnnL2h128": (_L2, 128),
    "CnnL2h256": (_L2, 256),
    "CnnL3h128": (_L3, 128),
    "CnnL3h256": (_L3, 256),
}
"""The original's plain CNNs: name -> (convolutions, bottleneck size)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepCpgDnaConfig(ModuleConfig):
    """Architecture of a DeepCpG DNA module; the defaults are `smallwood2014-serum`.

    Parameters
    ----------
    vocab_size
        Channels of the one-hot input: 4 (A, T, G, C) or 5, whose last channel,
        N, is always zero.
    sequence_length
        Bases in a window. Odd: the C of the CpG site lies in the middle.
    conv_channels, conv_kernel_sizes, conv_pool_sizes
        One entry a convolution: filters, width in positions, width of the
        max-pooling that follows it.
    bottleneck_size
        Units of the dense layer, and so the size of the embedding.
    hidden_act
        Activation after each convolution and the dense layer: ``"relu"``.
    hidden_dropout
        Rate of dropout after the dense layer, in training.
    num_labels
        Number of cells. Taken from `cells` when those are given.
    head
        Options of the head, as `HeadConfig` or a mapping.
    cells
        Names of the cells in output order. The default is the 18 serum cells,
        or ``cell_1 …`` when only `num_labels` is given.
    layer_names
        Names of the backbone's layers in order, without the scope ``dna/``.
        The default is the original's numbering from 1 (``convolution1d_1``).

    Raises
    ------
    ConfigError
        When a value is out of range or the layers do not fit the window.
    """

    module: ClassVar[str] = "dna"
    default_cells: ClassVar[tuple[str, ...]] = SERUM_CELLS

    vocab_size: int = 4
    sequence_length: int = 1001
    conv_channels: tuple[int, ...] = (128, 256)
    conv_kernel_sizes: tuple[int, ...] = (11, 3)
    conv_pool_sizes: tuple[int, ...] = (4, 2)
    bottleneck_size: int = 128
    hidden_act: str = "relu"
    hidden_dropout: float = 0.0
    layer_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("conv_channels", "conv_kernel_sizes", "conv_pool_sizes"):
            self._set(name, positive_integers(name, getattr(self, name)))
        self._set("layer_names", strings("layer_names", self.layer_names))
        self._check_values()
        kinds = dna_kinds(len(self.conv_channels))
        if not self.layer_names:
            self._set("layer_names", numbered_names(kinds))
        check_layer_names(self.layer_names, kinds, (DNA,))
        for layer in self.layers:
            if layer.length < 1:
                raise ConfigError(
                    f"sequence_length: {self.sequence_length} bases leave no position after "
                    f"layer {layer.name!r} (kernel sizes {self.conv_kernel_sizes}, pool sizes "
                    f"{self.conv_pool_sizes})"
                )

    def _check_values(self) -> None:
        if not is_integer(self.vocab_size) or self.vocab_size not in (4, 5):
            raise ConfigError(
                "vocab_size: expected 4 (A, T, G, C) or 5 (and N, always zero), "
                f"received {self.vocab_size!r}"
            )
        for name in ("sequence_length", "bottleneck_size"):
            positive_integers(name, (getattr(self, name),))
        if self.sequence_length % 2 == 0:
            raise ConfigError(
                "sequence_length: expected an odd number, so that the CpG site lies in the "
                f"middle, received {self.sequence_length}"
            )
        lengths = [len(self.conv_channels), len(self.conv_kernel_sizes), len(self.conv_pool_sizes)]
        if not self.conv_channels or len(set(lengths)) != 1:
            raise ConfigError(
                "conv_channels, conv_kernel_sizes, conv_pool_sizes: expected one entry each for "
                f"every convolution, received {lengths[0]}, {lengths[1]} and {lengths[2]} entries"
            )
        if self.hidden_act != "relu":
            raise ConfigError(f"hidden_act: expected 'relu', received {self.hidden_act!r}")
        check_rate("hidden_dropout", self.hidden_dropout)

    @classmethod
    def from_architecture(cls, architecture: str, **fields: Any) -> DeepCpgDnaConfig:
        """Return the configuration of a named architecture.

        Parameters
        ----------
        architecture
            A key of `ARCHITECTURES`, for example ``"CnnL3h128"``.
        **fields
            Any other field, for example ``cells``.

        Raises
        ------
        ConfigError
            When there is no such architecture, or a field is not valid.
        """
        try:
            convolutions, bottleneck_size = ARCHITECTURES[architecture]
        except KeyError:
            raise ConfigError(
                f"architecture: expected one of {', '.join(ARCHITECTURES)}, "
                f"received {architecture!r}"
            ) from None
        channels, kernels, pools = zip(*convolutions, strict=True)
        own = {
            "conv_channels": channels,
            "conv_kernel_sizes": kernels,
            "conv_pool_sizes": pools,
            "bottleneck_size": bottleneck_size,
        }
        for name in own.keys() & fields.keys():
            raise ConfigError(f"{name}: expected no other than that of {architecture}")
        return cls.from_dict({**fields, **own})

    @property
    def parts(self) -> Mapping[str, ModuleConfig]:
        """The one module: itself."""
        return {DNA: self}

    @property
    def reads(self) -> Inputs:
        """What the model reads of each site: ``windows``, codes of the bases around it."""
        length = (self.sequence_length,)
        return Inputs((Input("windows", length, "uint8", fill=N_CODE, largest=N_CODE),))

    @property
    def embedding_size(self) -> int:
        """Values that the head reads."""
        return self.bottleneck_size

    def with_dropout(self, rate: float) -> DeepCpgDnaConfig:
        """Return the same with another rate of dropout after the dense layer."""
        return dataclasses.replace(self, hidden_dropout=rate)

    @property
    def layer_paths(self) -> tuple[str, ...]:
        """The original's names of the hidden layers, in order, such as ``dna/dense_1``."""
        return tuple(f"{DNA}/{name}" for name in self.layer_names)

    @property
    def hidden_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor of weights but the head's, by its name, in order."""
        shapes: dict[str, tuple[int, ...]] = {}
        channels = self.vocab_size
        for spec in self.layers:
            if spec.parameters:
                width = (spec.width,) if spec.kind == "convolution" else ()
                shapes[f"{DNA}/{spec.name}/kernel"] = (*width, channels, spec.channels)
                shapes[f"{DNA}/{spec.name}/bias"] = (spec.channels,)
            channels = spec.channels
        return shapes

    @property
    def convolutions(self) -> tuple[tuple[int, int, int], ...]:
        """(channels, kernel size, pool size) of each convolution."""
        return tuple(
            zip(self.conv_channels, self.conv_kernel_sizes, self.conv_pool_sizes, strict=True)
        )

    @property
    def architecture(self) -> str:
        """Name among `ARCHITECTURES`, or ``"custom"``."""
        own = (self.convolutions, self.bottleneck_size)
        return next((name for name, other in ARCHITECTURES.items() if other == own), "custom")

    @property
    def layers(self) -> tuple[LayerSpec, ...]:
        """The backbone's layers in order, with their lengths and costs."""
        return dna_layers(
            self.sequence_length,
            self.vocab_size,
            self.convolutions,
            self.bottleneck_size,
            self.layer_names,
        )

    @property
    def receptive_length(self) -> int:
        """Bases of the window that the model reads, counted from its start.

        With valid padding the pooling drops positions at the end: of 1001 bases
        the published architectures read the first 994.
        """
        return self.positions_read(0)

    def positions_read(self, poolings: int) -> int:
        """Return how many positions the model reads of a window after some poolings."""
        length = next(spec.length for spec in reversed(self.layers) if spec.kind == "pooling")
        for _, kernel, pool in reversed(self.convolutions[poolings:]):
            length = length * pool + kernel - 1
        return length
