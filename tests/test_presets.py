"""The table of published variants, and the command that prints it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from deepcpg_tf.cli import presets as commands
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.presets import PRESETS, Preset

# name: (file stem, architecture, number of cells, first cell, last cell, genome)
PUBLISHED = {
    "smallwood2014-serum": (
        *("Smallwood2014_serum_dna", "CnnL2h128", 18, "BS27_1_SER", "BS29_9_SER", "GRCm38"),
    ),
    "smallwood2014-2i": (
        *("Smallwood2014_2i_dna", "CnnL3h128", 12, "BS24_1_2I", "BS26_2_2I", "GRCm38"),
    ),
    "hou2016-hcc": ("Hou2016_HCC_dna", "CnnL2h128", 25, "Ca01", "Ca25", "GRCh38"),
    "hou2016-hepg2": ("Hou2016_HepG2_dna", "CnnL3h128", 6, "HepG21", "HepG26", "GRCh38"),
    "hou2016-mesc": ("Hou2016_mESC_dna", "CnnL2h128", 6, "mESC1", "mESC6", "GRCm38"),
}

app = typer.Typer()
app.command()(commands.presets)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPCPG_TF_HOME", str(tmp_path))
    return tmp_path


def put_in_cache(home: Path, preset: Preset) -> None:
    folder = home / "presets" / preset.name
    folder.mkdir(parents=True)
    for file in (preset.model_file, preset.weights_file):
        (folder / file.name).touch()


def test_every_published_variant_is_there_under_its_name() -> None:
    assert list(PRESETS) == list(PUBLISHED)
    assert [preset.name for preset in PRESETS.values()] == list(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_preset_holds_what_was_published(name: str) -> None:
    preset = PRESETS[name]
    cells = preset.cells
    received = (preset.stem, preset.architecture, len(cells), cells[0], cells[-1], preset.genome)
    assert received == PUBLISHED[name]
    assert len(set(cells)) == len(cells)
    assert preset.model_file == (f"{preset.stem}-model", preset.model_md5)
    assert preset.weights_file == (f"{preset.stem}-model_weights.h5", preset.weights_md5)


def test_checksums_are_distinct_md5_digits() -> None:
    md5s = [md5 for preset in PRESETS.values() for md5 in (preset.model_md5, preset.weights_md5)]
    assert len(set(md5s)) == 10
    assert all(re.fullmatch(r"[0-9a-f]{32}", md5) for md5 in md5s)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_the_configuration_is_the_published_architecture(preset: Preset) -> None:
    config = DeepCpgDnaConfig.from_architecture(preset.architecture, cells=preset.cells)
    third = ((512, 3, 2),) if preset.architecture == "CnnL3h128" else ()
    assert config.convolutions == ((128, 11, 4), (256, 3, 2), *third)
    assert config.architecture == preset.architecture
    assert (config.bottleneck_size, config.sequence_length) == (128, 1001)
    assert config.cells == preset.cells
    assert config.num_labels == len(preset.cells)


def test_the_command_prints_tab_separated_rows_into_a_pipe(home: Path) -> None:
    put_in_cache(home, PRESETS["hou2016-hcc"])
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    header, *rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert header == ["preset", "architecture", "cells", "names", "genome", "cached"]
    assert rows == [
        [name, architecture, str(cells), f"{first} ... {last}", genome, cached]
        for (name, (_, architecture, cells, first, last, genome)), cached in zip(
            PUBLISHED.items(), ["no", "no", "yes", "no", "no"], strict=True
        )
    ]


def test_the_command_prints_a_table_of_80_columns_on_a_terminal(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_cache(home, PRESETS["hou2016-mesc"])
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    commands.presets()
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= 80
    for name, (_, architecture, cells, first, last, genome) in PUBLISHED.items():
        cached = "yes" if name == "hou2016-mesc" else "no"
        words = [name, architecture, str(cells), first, "...", last, genome, cached]
        assert words in [line.split() for line in lines]
