import dataclasses
import math

import pytest

from deepcpg_tf.configs.cpg import ARCHITECTURES as CPG_ARCHITECTURES
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.joint import ARCHITECTURES as JOINT_ARCHITECTURES
from deepcpg_tf.configs.joint import DeepCpgJointConfig
from deepcpg_tf.errors import ConfigError

CELLS = tuple(f"c{i}" for i in range(18))


@pytest.mark.parametrize("name", CPG_ARCHITECTURES)
def test_architectures_of_the_cpg_module(name):
    config = DeepCpgCpgConfig.from_architecture(name, cells=CELLS)
    assert config.architecture == name
    size, recurrent = CPG_ARCHITECTURES[name]
    assert config.embedding_size == (2 * recurrent[-1] if recurrent else size)
    parameters, macs, values = (100 + 1) * size, 18 * 100 * size, size
    for units in recurrent:
        each = 3 * units * (values + units)
        parameters += 2 * (each + 3 * units)
        macs += 2 * 18 * each
        values = 2 * units
    assert config.num_parameters == parameters + (values + 1) * 18
    assert config.num_parameters == sum(math.prod(s) for s in config.tensor_shapes.values())
    assert config.num_macs == macs + values * 18
    assert config.num_flops > 2 * config.num_macs


@pytest.mark.parametrize("name", JOINT_ARCHITECTURES)
def test_architectures_of_the_joint_module(name):
    config = DeepCpgJointConfig.from_architecture(name, cells=CELLS)
    assert config.architecture == f"CnnL2h128+RnnL1+{name}"
    sizes = [128 + 512, *JOINT_ARCHITECTURES[name]]
    assert config.embedding_size == sizes[-1]
    joint = sum((a + 1) * b for a, b in zip(sizes, [*sizes[1:], 18], strict=True))
    parts = [config.dna, config.cpg]
    alone = sum(part.num_parameters - part.head_layer.parameters for part in parts)
    assert config.num_parameters == alone + joint
    assert config.num_parameters == sum(math.prod(s) for s in config.tensor_shapes.values())


def test_the_original_s_names():
    config = DeepCpgJointConfig(cells=("a", "b"))
    assert config.cpg.layer_paths == (
        "cpg/merge_1",
        "cpg/timedistributed_1",
        "cpg/bidirectional_1",
        "cpg/dropout_1",
    )
    assert config.joining_paths[:2] == ("merge_1", "joint/dense_1")
    mean = DeepCpgCpgConfig.from_architecture("FcAvg", cells=("a",))
    assert mean.layer_names[2] == "globalaveragepooling1d_1"


def test_all_parts_have_the_cells_of_the_whole():
    dna, cpg = DeepCpgDnaConfig(cells=("x",)), DeepCpgCpgConfig(cells=("x", "y"))
    config = DeepCpgJointConfig(dna=dna, cpg=cpg, cells=("b", "a"))
    assert config.dna.cells == config.cpg.cells == ("b", "a")
    assert config.cpg.input_cells == ("x", "y"), "neighbours are read where they were"
    other = config.with_cells(("k",))
    assert other.cpg.input_cells == other.cells == other.dna.cells == ("k",)
    assert [one.name for one in config.reads] == ["windows", "state", "dist"]
    assert config.reads.named("state").shape == (2, 50)


def test_cells_are_written_once():
    config = DeepCpgJointConfig(cells=("a", "b"))
    fields = config.to_dict()
    assert not {"cells", "head", "num_labels"} & {*fields["dna"], *fields["cpg"]}
    assert DeepCpgJointConfig.from_json(config.to_json()) == config


def test_means_go_with_the_cells_that_are_read():
    config = DeepCpgCpgConfig(cells=("a", "b"), state_means=(0.25, 0.5))
    assert config.with_dropout(0.1).state_means == (0.25, 0.5)
    assert config.with_cells(("c",)).state_means == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"neighbours": 5}, "neighbours: expected an even number .* received 5"),
        ({"neighbours": 0}, "neighbours: expected an even number .* received 0"),
        ({"neighbours": "8"}, "neighbours: expected an even number"),
        ({"max_distance": 0}, "max_distance: expected positive"),
        ({"shared_size": 1.5}, "shared_size: expected positive"),
        ({"recurrent_sizes": (0,)}, "recurrent_sizes: expected positive"),
        ({"state_means": (0.5,)}, "state_means: expected one for each of 2 cells, received 1"),
        ({"state_means": (0.5, 1.5)}, "state_means: expected numbers from 0 to 1, received 1.5"),
        ({"state_means": (0.5, float("nan"))}, "state_means: expected numbers"),
        ({"input_cells": ("a", "a")}, "input_cells: expected each name once"),
        ({"layer_names": ("a",)}, "layer_names: expected 4 names .*merge.* received 1"),
        ({"layer_names": ("state", "b", "c", "d")}, "other than state and dist"),
        ({"cells": ("dropout_1", "b")}, "other names than those of cells, received 'dropout_1'"),
        ({"hidden_dropout": 1}, "hidden_dropout: expected a rate"),
    ],
)
def test_faults_of_the_cpg_module(fields, message):
    with pytest.raises(ConfigError, match=message):
        DeepCpgCpgConfig.from_dict({"cells": ("a", "b"), **fields})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dna": 3}, "dna: expected its configuration, received 3"),
        ({"cpg": DeepCpgDnaConfig()}, "cpg: expected its configuration"),
        ({"dna": {"color": 1}}, "dna: expected the fields .* received 'color'"),
        ({"joint_sizes": (1, -1)}, "joint_sizes: expected positive"),
        ({"layer_names": ("dna", *"abcdef")}, "other than dna and cpg"),
    ],
)
def test_faults_of_the_joint_module(fields, message):
    with pytest.raises(ConfigError, match=message):
        DeepCpgJointConfig.from_dict({"cells": ("a", "b"), **fields})


@pytest.mark.parametrize("cls", [DeepCpgCpgConfig, DeepCpgJointConfig])
def test_faults_of_architectures(cls):
    with pytest.raises(ConfigError, match="architecture: expected one of .* received 'x'"):
        cls.from_architecture("x")
    own = {
        DeepCpgCpgConfig: ("RnnL1", "shared_size"),
        DeepCpgJointConfig: ("JointL0", "joint_sizes"),
    }
    name, field = own[cls]
    with pytest.raises(ConfigError, match=f"{field}: expected no other than that of {name}"):
        cls.from_architecture(name, **{field: 3})


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DeepCpgCpgConfig(cells=("a",)).neighbours = 4  # type: ignore[misc]
