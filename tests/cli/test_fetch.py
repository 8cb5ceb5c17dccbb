import functools
import re
import socket

import pytest

from deepcpg_tf.presets import PRESETS
from deepcpg_tf.weights import store

PRESET = PRESETS["hou2016-hcc"]


@pytest.fixture
def closed_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_presets_are_listed(run):
    result = run("presets")
    assert (result.code, result.err) == (0, "")
    header, *rows = [line.split("\t") for line in result.out.splitlines()]
    assert header == ["preset", "architecture", "cells", "names", "genome", "cached"]
    assert [row[0] for row in rows] == list(PRESETS)
    assert ["hou2016-hcc", "CnnL2h128", "25", "Ca01 ... Ca25", "GRCh38", "no"] in rows


@pytest.mark.parametrize("command", ["fetch", "predict"])
def test_without_a_network(fails, home, closed_port, monkeypatch, command):
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    url = f"http://127.0.0.1:{closed_port}"
    if command == "fetch":
        error = fails("fetch", PRESET.name, "--base-url", url)
    else:
        monkeypatch.setattr(store, "fetch", functools.partial(store.fetch, base_url=url))
        error = fails("predict", PRESET.name, "--sequence", "A" * 1001)
    assert f"{url}/Hou2016_HCC_dna-model?download=1" in error
    assert f"expected md5 {PRESET.model_md5}" in error
    assert "deepcpg-tf fetch hou2016-hcc --from-dir DIR" in error
    assert not [path for path in home.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hou2016"], "preset: expected one of smallwood2014-serum, .* received 'hou2016'"),
        ([PRESET.name, "--from-dir", "no"], "no: expected a folder with the files of hou2016-hcc"),
        ([PRESET.name, "--from-dir", "."], "expected a file Hou2016_HCC_dna-model, found none"),
        ([PRESET.name, "--base-url", "ftp://x"], "--base-url: expected http.* received 'ftp://x'"),
        (
            [PRESET.name, "--base-url", "http://x", "--from-dir", "."],
            "input: expected --from-dir or --base-url, received both",
        ),
    ],
)
def test_faults(fails, arguments, message):
    error = fails("fetch", *arguments)
    assert re.search(message, error), error
