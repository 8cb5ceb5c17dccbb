import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from deepcpg_tf.quiet import import_tensorflow

import_tensorflow()
import tensorflow as tf  # noqa: E402

# As training sets it, which it cannot once TensorFlow is in use.
tf.config.threading.set_inter_op_parallelism_threads(1)
# Two devices to share batches between; later than here, TensorFlow may be in use already.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

DATA = Path(__file__).parent / "fixtures"


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """Keep every test away from the user's cache."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("DEEPCPG_TF_HOME", str(folder))
    return folder


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(monkeypatch, capfd):
    """Run the command line in this process."""
    from deepcpg_tf.cli.app import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["deepcpg-tf", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capfd.readouterr()
        return Result(exit_.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def fails(run):
    """Run a command that must fail with one clear line; returns that line."""

    def call(*arguments):
        result = run(*arguments)
        assert result.code == 2, result.err
        assert result.out == ""
        assert result.err.count("\n") == 1, result.err
        assert result.err.startswith("deepcpg-tf: error: ")
        return result.err

    return call
