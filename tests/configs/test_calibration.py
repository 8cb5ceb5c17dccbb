"""What calibrates a model, as data: exact, by the name of cells, and no part of older files."""

import dataclasses
import json
import math

import numpy as np
import pytest

from deepcpg_tf.configs.calibration import Calibration
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.joint import DeepCpgJointConfig
from deepcpg_tf.errors import ConfigError

SOME = Calibration(cells=("a", "b"), shares=(0.75, None), temperatures=(None, 2.0), temperature=0.5)
CLASSES = (DeepCpgDnaConfig, DeepCpgCpgConfig, DeepCpgJointConfig)


def test_by_the_name_of_cells():
    offsets, temperatures = SOME.offsets_and_temperatures(("z", "b", "a"))
    assert offsets.dtype == temperatures.dtype == np.float32
    np.testing.assert_allclose(offsets, [0, 0, math.log(3)], rtol=1e-6)
    assert temperatures.tolist() == [0.5, 2, 0.5]
    assert [len(one) for one in SOME.offsets_and_temperatures(())] == [0, 0]
    nothing = Calibration().offsets_and_temperatures(("z",))
    assert [one.tolist() for one in nothing] == [[0], [1]]


def test_logits_are_shifted_and_then_divided():
    adjustment = SOME.offsets_and_temperatures(("a", "b"))
    found = adjustment.of_logits(np.array([[1, 3]], np.float32))
    np.testing.assert_allclose(found, [[2 * (1 + math.log(3)), 1.5]], rtol=1e-6)
    assert found.dtype == np.float32


def test_shares_of_counts():
    counts = np.array([[1, 3], [0, 5], [4, 0], [0, 0]])
    assert Calibration.of_counts("abcd", counts).shares == (0.75, None, None, None)
    assert Calibration.of_counts("a", counts[:1]) == Calibration(cells=("a",), shares=(0.75,))


@pytest.mark.parametrize("cls", CLASSES)
def test_goes_through_json_and_is_not_there_without(cls):
    config = cls(cells=("a", "b"))
    assert "calibration" not in config.to_json()
    calibrated = config.with_calibration(SOME)
    assert cls.from_json(calibrated.to_json()) == calibrated
    assert json.loads(calibrated.to_json())["calibration"] == {
        "cells": ["a", "b"],
        "shares": [0.75, None],
        "temperatures": [None, 2.0],
        "temperature": 0.5,
    }
    assert calibrated.with_calibration(None) == config
    assert calibrated.to_json().count("calibration") == 1


@pytest.mark.parametrize("cls", CLASSES)
def test_other_cells_are_not_calibrated(cls):
    calibrated = cls(cells=("a", "b"), calibration=SOME)
    assert calibrated.with_cells(("a", "c")).calibration is None
    assert calibrated.with_untrained_head().calibration is None
    assert calibrated.with_dropout(0.1).calibration == SOME


def test_of_a_joint_module_is_that_of_the_whole():
    dna = DeepCpgDnaConfig(cells=("a", "b"), calibration=SOME)
    joint = DeepCpgJointConfig(cells=("a", "b"), dna=dna)
    assert (joint.dna.calibration, joint.calibration) == (None, None)
    fields = {**joint.to_dict(), "dna": {"calibration": {"temperature": 2.0}}}
    assert DeepCpgJointConfig.from_dict(fields).dna.calibration is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shares": [0.5]}, "shares: expected one for each of 2 cells, received 1"),
        ({"shares": [0.5, 1]}, "shares: expected numbers above 0 and below 1, received 1"),
        ({"shares": [0, 0.5]}, "shares: expected numbers above 0 and below 1, received 0"),
        ({"shares": [True, 0.5]}, "shares: expected numbers above 0 and below 1, received True"),
        ({"shares": 0.5}, "shares: expected a list of numbers, received 0.5"),
        (
            {"temperatures": [1, -1]},
            "temperatures: expected numbers above 1e-06 and below 1e+06, received -1",
        ),
        (
            {"temperatures": [1, 10**400]},
            "expected numbers above 1e-06 and below 1e+06, received 100",
        ),
        (
            {"temperature": math.nan},
            "temperature: expected numbers above 1e-06 and below 1e+06, received nan",
        ),
        ({"temperature": None}, "temperature: expected a number, received None"),
        ({"cells": ["a", "a"]}, "cells: expected each name once, received 'a' twice"),
        ({"x": 1}, "expected the fields cells, shares, temperatures, temperature, received 'x'"),
    ],
)
def test_values_that_cannot_be(fields, message):
    with pytest.raises(ConfigError, match=r"^calibration.*") as error:
        DeepCpgDnaConfig.from_dict(
            {"cells": ["a", "b"], "calibration": {"cells": ["a", "b"], **fields}}
        )
    assert message in str(error.value)


def test_no_calibration_but_its_values():
    with pytest.raises(ConfigError, match=r"^calibration: expected its values, received 3$"):
        DeepCpgDnaConfig(calibration=3)  # type: ignore[arg-type]
    assert dataclasses.replace(DeepCpgDnaConfig(), calibration=SOME).calibration == SOME
