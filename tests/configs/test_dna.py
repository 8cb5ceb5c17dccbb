import pytest

from deepcpg_tf.configs.base import HeadConfig
from deepcpg_tf.configs.dna import ARCHITECTURES, DeepCpgDnaConfig
from deepcpg_tf.errors import ConfigError
from deepcpg_tf.presets import SERUM_CELLS


def test_defaults_are_the_serum_variant():
    config = DeepCpgDnaConfig()
    assert config.architecture == "CnnL2h128"
    assert config.cells == SERUM_CELLS
    assert config.num_labels == 18
    assert config.sequence_length == 1001


@pytest.mark.parametrize(
    ("architecture", "cells", "parameters", "flops", "macs"),
    [
        ("CnnL2h128", 18, 4.11, 70.63, 35.06),
        ("CnnL3h128", 12, 4.43, 165.02, 82.18),
    ],
)
def test_published_figures_with_five_channels(architecture, cells, parameters, flops, macs):
    config = DeepCpgDnaConfig.from_architecture(architecture, vocab_size=5, num_labels=cells)
    assert round(config.num_parameters / 1e6, 2) == parameters
    assert round(config.num_flops / 1e6, 2) == flops
    assert round(config.num_macs / 1e6, 2) == macs


def test_length_after_each_layer():
    config = DeepCpgDnaConfig.from_architecture("CnnL3h128")
    lengths = {spec.name: (spec.length, spec.channels) for spec in config.layers}
    assert list(lengths.items()) == [
        ("convolution1d_1", (991, 128)),
        ("activation_1", (991, 128)),
        ("maxpooling1d_1", (247, 128)),
        ("convolution1d_2", (245, 256)),
        ("activation_2", (245, 256)),
        ("maxpooling1d_2", (122, 256)),
        ("convolution1d_3", (120, 512)),
        ("activation_3", (120, 512)),
        ("maxpooling1d_3", (60, 512)),
        ("flatten_1", (1, 60 * 512)),
        ("dense_1", (1, 128)),
        ("activation_4", (1, 128)),
        ("dropout_1", (1, 128)),
    ]


@pytest.mark.parametrize("architecture", ["CnnL2h128", "CnnL3h128"])
def test_published_architectures_read_994_bases(architecture):
    assert DeepCpgDnaConfig.from_architecture(architecture).receptive_length == 994


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_named_architectures(architecture):
    config = DeepCpgDnaConfig.from_architecture(architecture, num_labels=3)
    assert config.architecture == architecture
    assert len(config.conv_channels) == int(architecture[4])
    assert config.bottleneck_size == int(architecture[6:])
    assert config.cells == ("cell_1", "cell_2", "cell_3")


def test_json_round_trip():
    config = DeepCpgDnaConfig(
        vocab_size=5,
        sequence_length=101,
        conv_channels=(8,),
        conv_kernel_sizes=(11,),
        conv_pool_sizes=(4,),
        hidden_dropout=0.25,
        head=HeadConfig(dropout=0.5),
        cells=("b", "a"),
        layer_names=("conv1d_7", "act", "pool", "flat", "dense", "act2", "drop"),
    )
    assert DeepCpgDnaConfig.from_json(config.to_json()) == config
    assert config.head == HeadConfig(dropout=0.5)
    assert config.architecture == "custom"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vocab_size": 6}, "vocab_size: expected 4 .* received 6"),
        ({"sequence_length": 1000}, "sequence_length: expected an odd number.*received 1000"),
        ({"sequence_length": 13}, "13 bases leave no position after layer 'maxpooling1d_1'"),
        ({"sequence_length": "1001"}, "sequence_length: expected positive integers"),
        ({"sequence_length": True}, "sequence_length: expected positive integers"),
        ({"conv_channels": (128,)}, "received 1, 2 and 2 entries"),
        ({"conv_channels": (0, 1)}, "conv_channels: expected positive integers, received 0"),
        ({"conv_channels": "ab"}, "conv_channels: expected a list of positive integers"),
        ({"bottleneck_size": 0}, "bottleneck_size: expected positive integers, received 0"),
        ({"hidden_act": "gelu"}, "hidden_act: expected 'relu', received 'gelu'"),
        ({"hidden_dropout": 1.0}, "hidden_dropout: expected a rate .* received 1.0"),
        ({"hidden_dropout": "0.1"}, "hidden_dropout: expected a number, received '0.1'"),
        ({"num_labels": 0}, "num_labels: expected positive integers, received 0"),
        ({"num_labels": 2**63}, "num_labels: expected at most 1,000,000, received 92233720368547"),
        ({"hidden_dropout": 10**400}, "hidden_dropout: expected a rate .* received 1000"),
        ({"hidden_dropout": float("nan")}, "hidden_dropout: expected a rate .* received nan"),
        ({"num_labels": "3"}, "num_labels: expected positive integers, received '3'"),
        ({"vocab_size": 4.0}, "vocab_size: expected 4 .* received 4.0"),
        ({"head": None}, "head: expected its options, received None"),
        (
            {"layer_names": ("dna", *"bcdefghij")},
            "other than dna .of inputs and modules., received 'dna'",
        ),
        ({"num_labels": 3, "cells": ("a", "b")}, "num_labels: expected 2.*received 3"),
        ({"cells": ("a", "b", "a")}, "cells: expected each name once, received 'a' twice"),
        ({"cells": ()}, "cells: expected at least one, received none"),
        ({"cells": ("a", "")}, "cells: expected printable names, received ''"),
        ({"cells": ("a\tb",)}, "cells: expected printable names"),
        ({"cells": "abc"}, "cells: expected a list of names, received 'abc'"),
        ({"layer_names": ("a",)}, "layer_names: expected 10 names.*received 1"),
        ({"layer_names": ("dna/a", *"bcdefghij")}, "names without '/' .* received 'dna/a'"),
        ({"head": {"problem_type": "multiclass"}}, "head.problem_type: expected 'binary'"),
        ({"head": {"dropout": 2}}, "head.dropout: expected a rate"),
        ({"head": {"act": "tanh"}}, "head: expected the fields .*received 'act'"),
        ({"color": 1}, "expected the fields .*received 'color'"),
    ],
)
def test_faults(fields, message):
    with pytest.raises(ConfigError, match=message):
        DeepCpgDnaConfig.from_dict(fields)


def test_many_cells_take_no_time():
    config = DeepCpgDnaConfig(num_labels=100_000)  # hours, were each held against all others
    assert config.cells[-1] == "cell_100000"


def test_an_architecture_says_all_of_itself():
    with pytest.raises(ConfigError, match="bottleneck_size: expected no other than that of CnnL2"):
        DeepCpgDnaConfig.from_architecture("CnnL2h128", bottleneck_size=3)


def test_unknown_architecture_lists_the_known():
    with pytest.raises(ConfigError, match="expected one of CnnL1h128.*received 'ResNet01'"):
        DeepCpgDnaConfig.from_architecture("ResNet01")


@pytest.mark.parametrize(
    ("text", "message"), [("{", "expected JSON"), ("[]", "expected an object")]
)
def test_faulty_json(text, message):
    with pytest.raises(ConfigError, match=message):
        DeepCpgDnaConfig.from_json(text)
