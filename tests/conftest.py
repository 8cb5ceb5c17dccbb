import fcntl
import importlib.util
import json
import os
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from deepcpg_tf.quiet import import_tensorflow, prefer_onednn, quiet_stderr

prefer_onednn()

# How long an example takes is a matter of the machine, and of what else it does.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

DATA = Path(__file__).parent / "fixtures"


class SetUp(MetaPathFinder):
    """Sets TensorFlow up as training does, with two devices to share batches between.

    It must come before anything computes, so it comes at once where TensorFlow is
    imported; tests of texts and tables do not import it.
    """

    def find_spec(self, name, path=None, target=None):
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_and_set_up(module):
            load(module)
            module.config.threading.set_inter_op_parallelism_threads(1)
            (cpu,) = module.config.list_physical_devices("CPU")
            two = [module.config.LogicalDeviceConfiguration()] * 2
            module.config.set_logical_device_configuration(cpu, two)

        spec.loader.exec_module = load_and_set_up  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, SetUp())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark as ``numeric`` what is in a module that takes a tolerance."""
    for item in items:
        if {"tolerances", "parity", "BOUNDS"} & vars(item.module).keys():
            item.add_marker("numeric")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep from the terminal what TensorFlow prints when a module of tests imports it."""
    with quiet_stderr():
        return (yield)


# TensorFlow looks at the processor whether it can, and oneDNN at its setting.
bfloat16 = pytest.mark.skipif(
    "ONEDNN_MAX_CPU_ISA" in os.environ, reason="oneDNN was told of a processor without bfloat16"
)


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


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Make a folder once, though the tests run in several processes."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name, fill):
        folder = shared / name
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                fill(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_export(once):
    """Folder with ``tiny``, the export of a checkpoint of Keras 1, and what was told of it."""

    def fill(folder):
        import_tensorflow()
        from deepcpg_tf import DeepCpgDnaForSequencePrediction
        from deepcpg_tf.exporters.bundle import export
        from deepcpg_tf.exporters.samples import draw_samples

        model = DeepCpgDnaForSequencePrediction.from_preset(DATA / "legacy" / "keras1-distributed")
        content = export(model, "tiny", folder / "tiny", draw_samples(model))
        (folder / "content.json").write_text(json.dumps(content))

    return once("export-of-tiny", fill)


@pytest.fixture(scope="session")
def module_exports(once):
    """Folder with a small Joint and a small CpG module, their exports, and a table to read.

    These are ``joint``, ``joint-export``, ``cpg``, ``cpg-export`` and ``cells.h5ad``; the
    windows have 101 letters, and neighbours are of the cells of the original's run. The Joint
    module keeps what calibrates it.
    """

    def fill(folder):
        import_tensorflow()
        from deepcpg_tf import build_table, export
        from deepcpg_tf.configs.calibration import Calibration
        from deepcpg_tf.models.registry import new_model
        from tests.contract.test_models import random_weights
        from tests.workflows.test_modules import CPG, JOINT, RUN

        folder.mkdir()
        profiles = [RUN / "cpg" / name for name in ("c1.tsv", "c2.tsv", "c3.tsv.gz")]
        build_table(profiles, RUN / "dna", folder / "cells.h5ad")
        kept = Calibration(
            cells=JOINT.cells, shares=(0.3, 0.6, None), temperatures=(2.0, 0.8, None)
        )
        for name, config in (("cpg", CPG), ("joint", JOINT.with_calibration(kept))):
            model = random_weights(new_model(config))
            model.head.kernel.assign(model.head.kernel * 0.5)  # int8 has a bound
            model.save_to_preset(folder / name)
            export(folder / name, folder / f"{name}-export")

    return once("exports-of-modules", fill)
