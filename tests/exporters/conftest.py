import json
import shutil

import numpy as np
import pytest

from deepcpg_tf import DeepCpgDnaForSequencePrediction
from deepcpg_tf.exporters.manifest import digest
from deepcpg_tf.exporters.samples import draw_samples
from deepcpg_tf.exporters.session import ServingSession
from tests.conftest import DATA

LEGACY = DATA / "legacy" / "keras1-distributed"


class Exported:
    """The export of a checkpoint of Keras 1, and what the original program predicts."""

    def __init__(self, folder):
        self.model = DeepCpgDnaForSequencePrediction.from_preset(LEGACY)
        self.drawn = draw_samples(self.model)
        self.folder = folder / "tiny"
        self.content = json.loads((folder / "content.json").read_text())
        self.letters = (LEGACY / "sequences.txt").read_text().split()
        self.strings = np.array([window.encode() for window in self.letters])
        self.tokens = np.array([[*window.encode()] for window in self.letters], np.uint8)
        with np.load(LEGACY / "expected.npz") as expected:
            self.probabilities = expected["prob"]
            self.embedding = expected["act/dna/activation_3"]


@pytest.fixture(scope="session")
def exported(tiny_export):
    return Exported(tiny_export)


@pytest.fixture(scope="module")
def session(exported):
    with ServingSession(exported.folder / "saved_model" / "1") as session:
        yield session


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported.folder, tmp_path / "copy")


def edit(folder, change):
    """Change the manifest as who means harm does: its own checksum goes with it."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    content["digest"] = digest(content)
    path.write_text(json.dumps(content))
