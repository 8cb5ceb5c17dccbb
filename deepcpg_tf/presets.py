"""The five published variants of the DeepCpG DNA module, as plain data.

Source of files and checksums: Zenodo record 1466079.
"""

from __future__ import annotations

from typing import NamedTuple

SERUM_CELLS = (
    *("BS27_1_SER", "BS27_3_SER", "BS27_5_SER", "BS27_6_SER", "BS27_8_SER"),
    *("BS28_10_SER", "BS28_1_SER", "BS28_2_SER", "BS28_3_SER", "BS28_4_SER", "BS28_6_SER"),
    *("BS29_1_SER", "BS29_4_SER", "BS29_5_SER", "BS29_6_SER", "BS29_7_SER", "BS29_8_SER"),
    "BS29_9_SER",
)


class PublishedFile(NamedTuple):
    """A file of the Zenodo record: its name there and its MD5 checksum."""

    name: str
    md5: str


class Preset(NamedTuple):
    """A published variant: where its files are and what they hold."""

    name: str
    architecture: str
    cells: tuple[str, ...]
    genome: str
    stem: str
    model_md5: str
    weights_md5: str

    @property
    def model_file(self) -> PublishedFile:
        """The architecture, as Keras JSON."""
        return PublishedFile(f"{self.stem}-model", self.model_md5)

    @property
    def weights_file(self) -> PublishedFile:
        """The weights, as HDF5."""
        return PublishedFile(f"{self.stem}-model_weights.h5", self.weights_md5)


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="smallwood2014-serum",
            architecture="CnnL2h128",
            cells=SERUM_CELLS,
            genome="GRCm38",
            stem="Smallwood2014_serum_dna",
            model_md5="b3604063b46b3461e3cfcbc4d38f7828",
            weights_md5="1600148e50d6d21bb59585f6074729c2",
        ),
        Preset(
            name="smallwood2014-2i",
            architecture="CnnL3h128",
            cells=(
                *("BS24_1_2I", "BS24_2_2I", "BS24_4_2I", "BS24_6_2I", "BS24_8_2I"),
                *("BS25_10_2I", "BS25_2_2I", "BS25_6_2I", "BS25_7_2I", "BS25_8_2I"),
                *("BS26_1_2I", "BS26_2_2I"),
            ),
            genome="GRCm38",
            stem="Smallwood2014_2i_dna",
            model_md5="f36d0b3a472434274e22bd1d1095803b",
            weights_md5="5ffa0a9c0b49a059e90609bc60656187",
        ),
        Preset(
            name="hou2016-hcc",
            architecture="CnnL2h128",
            cells=tuple(f"Ca{i:02d}" for i in range(1, 26)),
            genome="GRCh38",
            stem="Hou2016_HCC_dna",
            model_md5="aef1e97c448a217adef4c460a2000a9c",
            weights_md5="5a1bd295dc2aa736c136cd8ec2ccdab0",
        ),
        Preset(
            name="hou2016-hepg2",
            architecture="CnnL3h128",
            cells=tuple(f"HepG2{i}" for i in range(1, 7)),
            genome="GRCh38",
            stem="Hou2016_HepG2_dna",
            model_md5="b5f81cc25890b5408210a4aef47bb908",
            weights_md5="1dd2526b710ec0a1779bc1fb63a46214",
        ),
        Preset(
            name="hou2016-mesc",
            architecture="CnnL2h128",
            cells=tuple(f"mESC{i}" for i in range(1, 7)),
            genome="GRCm38",
            stem="Hou2016_mESC_dna",
            model_md5="a7d3338d6899c7398b2862085fd09b34",
            weights_md5="fcd598206067874012a15169c60f8cc9",
        ),
    )
}
