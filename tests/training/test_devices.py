"""Settings that come too late in a process are not lost without a word."""

import os
import subprocess
import sys

from deepcpg_tf.quiet import import_tensorflow

LATE = """
import sys, warnings
import tensorflow as tf
tf.add(1, 1)
from deepcpg_tf.errors import ConfigError
from deepcpg_tf.training.step import make_strategy, prepare_devices
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    prepare_devices(2)
(warning,) = [one for one in caught if "deepcpg_tf" in one.filename or "<string>" in one.filename]
assert "the same weights only to rounding" in str(warning.message), warning.message
try:
    make_strategy(2)
except ConfigError as error:
    assert "expected at most the 1 CPUs here (more must be asked for before" in str(error), error
else:
    raise AssertionError("two devices of one")
"""
EARLY = """
import os, warnings
from deepcpg_tf.quiet import import_tensorflow
import_tensorflow()
assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
import tensorflow as tf
from deepcpg_tf.training.step import make_strategy, prepare_devices
warnings.simplefilter("error")
prepare_devices(2)
prepare_devices(2)
assert make_strategy(2).num_replicas_in_sync == 2
assert tf.config.threading.get_inter_op_parallelism_threads() == 1
"""


def run(code):
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr


def test_after_tensorflow_has_computed():
    run(LATE)


def test_before_tensorflow_computes():
    run(EARLY)


def test_what_the_user_says_of_onednn_stays(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    import_tensorflow()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
