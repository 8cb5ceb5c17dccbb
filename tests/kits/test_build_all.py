"""The script that exports every published variant."""

from __future__ import annotations

import importlib.util
import json

import pytest

from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
from deepcpg_tf.errors import DownloadError
from deepcpg_tf.presets import PRESETS
from tests.conftest import DATA
from tests.kits.conftest import KITS

NAMES = list(PRESETS)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("build_all", KITS / "build_all.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_goes_on_after_a_failure(script, tmp_path, capsys):
    asked = []

    def export(name, model, folder):
        asked.append((name, model, folder))
        if name == NAMES[1]:
            raise DownloadError("no\nnetwork")
        if name == NAMES[2]:
            raise ZeroDivisionError("x")
        return "9 artefacts"

    outcomes = script.build_all(
        None, tmp_path, force=False, export=export, verified=lambda folder: folder.name == NAMES[4]
    )
    assert asked == [(name, name, tmp_path / name) for name in NAMES[:4]]
    assert [outcome.word for outcome in outcomes] == [
        *("exported", "failed", "failed", "exported", "kept"),
    ]
    assert [outcome.detail for outcome in outcomes][:3] == [
        *("9 artefacts", "no network", "ZeroDivisionError: x"),
    ]
    assert script.table(outcomes).splitlines()[1].startswith("smallwood2014-2i     failed ")
    assert capsys.readouterr().out.split() == [word for name in NAMES for word in (name, "...")]


def test_force(script, tmp_path):
    outcomes = script.build_all(
        tmp_path, tmp_path, force=True, export=lambda *_: "", verified=lambda _: True
    )
    assert {outcome.word for outcome in outcomes} == {"exported"}


def test_from_a_folder(script, tmp_path, monkeypatch, capsys):
    """One variant is there, one folder has other cells, the others have nothing."""
    from deepcpg_tf.exporters import bundle

    real = bundle.export
    monkeypatch.setattr(
        bundle, "export", lambda *given, **more: real(*given, **more, formats=("onnx",), int8=False)
    )
    source, out = tmp_path / "checkpoints", tmp_path / "saved_models"
    source.mkdir()
    name = "hou2016-hepg2"
    legacy = DATA / "legacy" / "keras1-distributed"
    (source / "hou2016-hcc").symlink_to(legacy)
    fields = DeepCpgDnaForSequencePrediction.from_preset(legacy).config.to_dict()
    small = {key: value for key, value in fields.items() if key not in ("cells", "num_labels")}
    config = DeepCpgDnaConfig.from_dict({**small, "cells": PRESETS[name].cells})
    DeepCpgDnaForSequencePrediction(config).save_to_preset(source / name)
    arguments = ["--from-dir", str(source), "--out", str(out)]
    assert script.main(arguments) == 1
    words = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[5:]}
    assert " exported " in words[name]
    assert "expected the cells of hou2016-hcc (Ca01 and others)" in words["hou2016-hcc"]
    assert "expected a folder with a model" in words["smallwood2014-serum"]
    assert [path.name for path in out.iterdir()] == [name]
    assert json.loads((out / name / "manifest.json").read_text())["cells_of"] == name
    terms = (
        "If these are its weights, they are under the terms that their record states: https://ze"
    )
    assert terms in (out / name / "README.md").read_text()
    assert script.main(arguments) == 1
    assert f"{name:20} kept " in capsys.readouterr().out
    (out / name / "onnx" / "float32.onnx").write_bytes(b"x")
    assert not script.is_verified(out / name)
    assert "float32.onnx: expected" in capsys.readouterr().out
    (out / name / "manifest.json").write_text("{}")
    script.main(arguments)
    assert f"{name:20} exported " in capsys.readouterr().out
    assert script.is_verified(out / name)


def test_no_such_folder(script, tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        script.main(["--from-dir", str(tmp_path / "none")])
    assert error.value.code == 2
    assert "expected a folder with a folder for each variant" in capsys.readouterr().err
