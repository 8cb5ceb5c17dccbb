"""The readers that are tried, by name; none of them needs TensorFlow."""

import bz2
import gzip
import io
import json
import lzma
import tempfile
import zlib
from functools import cache, partial
from pathlib import Path

import h5py
import numpy as np

from deepcpg_tf.errors import LegacyDataError
from deepcpg_tf.genome.reference import Genome
from tests.conftest import DATA
from tests.fuzz import oracles
from tests.fuzz.engine import Files, NonsenseError, Target
from tests.fuzz.oracles import expect
from tests.profiles import texts

CHROMOSOMES = {"chr1": texts.CHR1, "chr2": texts.CHR2}
LENGTH = 11  # of windows


@cache
def genome() -> Genome:
    """Return the reference that sites and profiles lie on."""
    path = Path(tempfile.mkdtemp(), "genome.fa")
    path.write_text("".join(f">{name}\n{letters}\n" for name, letters in CHROMOSOMES.items()))
    return Genome(path)


def unpacked(content: bytes) -> bytes:
    """Return what is in a file, that must be whole if it is compressed."""
    kinds = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\0": lzma}
    kind = next((kinds[magic] for magic in kinds if content.startswith(magic)), None)
    try:
        return kind.decompress(content) if kind else content
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise NonsenseError(f"accepted a damaged file: {error}") from None


def _text(**variants: str) -> list[Files]:
    return [{"file": text.encode()} for text in variants.values()]


# Profiles


def _read_profile(folder: Path, format: str | None = None) -> None:  # noqa: A002
    from deepcpg_tf.profiles.read import read_profile

    path = folder / "file"
    found = read_profile(path, genome(), format=format)
    lines, expected = oracles.profile(
        unpacked(path.read_bytes()), found.account.format, CHROMOSOMES
    )
    expect(found.account.read == lines, f"read {found.account.read} of {lines} lines")
    labels = {
        (name, int(position)): int(label)
        for name, sites in found.sites.items()
        for position, label in zip(sites.positions, sites.labels, strict=True)
    }
    expect(labels == expected, f"read {labels}, expected {expected}")


# What it is as text, and the format that must be named where nothing in the file tells it.
PROFILES = {
    "deepcpg": (texts.DEEPCPG, None),
    "bedgraph": (texts.BEDGRAPH, None),
    "legacy-bedgraph": (texts.LEGACY_BEDGRAPH, "legacy-bedgraph"),
    "bismark-cov": (texts.COV, None),
    "bismark-cov-merged": (texts.MERGED_COV, None),
    "bismark-zero-cov": (texts.zero_based(texts.COV), None),
    "bismark-report": (texts.REPORT, None),
    "allc": (texts.ALLC, None),
    "bedmethyl-modkit": (texts.MODKIT, None),
    "bedmethyl-encode": (texts.ENCODE, None),
}


# Files of several cells


@cache
def _store_seeds(format: str) -> list[Files]:  # noqa: A002
    from deepcpg_tf.data.table_file import read_table
    from deepcpg_tf.workflows.stores import export_table

    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "table.h5ad"), Path(folder, "cells.h5")
        path.write_bytes(_table_seeds()[0]["table.h5ad"])
        reference = genome() if format == "cpg-transformer" else None
        export_table(read_table(path), out, format=format, genome=reference)
        files = sorted(out.iterdir()) if out.is_dir() else [out]
        return [{file.name: file.read_bytes() for file in files}]


def _read_store(folder: Path, format: str) -> None:  # noqa: A002
    from deepcpg_tf.profiles.cells import open_cells

    path = folder / "cells.h5" if format == "amethyst" else folder
    opened = open_cells(path, format, None)
    profiles = opened.profiles(
        genome(),
        format=format,
        min_coverage=1,
        hydroxymethylation="methylated",
        min_reference_match=0.5,
        keep_coverage=False,
    )
    found = {profile.cell: profile for profile in profiles}
    expect(tuple(found) == opened.cells, f"read cells {list(found)} of {opened.cells}")
    for profile in found.values():
        account = profile.account
        counted = account.kept + account.joined + account.duplicates + sum(account.dropped.values())
        expect(account.read == counted, f"read {account.read}, counted {counted}")
        for name, sites in profile.sites.items():
            letters = {CHROMOSOMES[name][at : at + 2] for at in sites.positions.tolist()}
            expect(letters == {"CG"}, f"read calls of {letters}")
            expect((np.diff(sites.positions) > 0).all(), "read sites out of order")
            expect(set(sites.labels.tolist()) <= {0, 1}, f"read labels {sites.labels}")


STORES = ("methscan", "amethyst", "cpg-transformer")


# The genome


_FASTA = (
    ">chr1 first\nACGTACGTNN\nacgtacgtry\nACG\n>chr2\nCGCGC\n>X\nNNNNACGU\n",
    ">1\r\nACGTACGTNN\r\nacg\r\n",
)


def _fasta_seeds() -> list[Files]:
    import pysam

    from tests.fuzz.containers import bgzip

    seeds: list[Files] = []
    with tempfile.TemporaryDirectory() as folder:
        for text in _FASTA:
            for content in (text.encode(), bgzip(text.encode(), 16)):
                path = Path(folder, "genome.fa")
                path.write_bytes(content)
                pysam.faidx(str(path))
                beside = {file.name: file.read_bytes() for file in sorted(path.parent.iterdir())}
                seeds += [{"genome.fa": content}, beside]
                for file in path.parent.iterdir():
                    file.unlink()
    return seeds


def _read_fasta(folder: Path) -> None:
    read = Genome(folder / "genome.fa")
    found = {name: read.codes(name).tolist() for name in read.lengths}
    expected = oracles.fasta_genome(unpacked((folder / "genome.fa").read_bytes()))
    expect(dict(read.lengths) == {n: len(c) for n, c in found.items()}, "other lengths than codes")
    expect(found == expected, f"read {found}, expected {expected}")


def _folder_seeds() -> list[Files]:
    return [
        {
            "g.chromosome.1.fa": b">1 dna\nACGTAC\nGT\n",
            "g.chromosome.X.fa.gz": gzip.compress(b">X\r\nNNACG\r\n", mtime=0),
        }
    ]


def _read_folder(folder: Path) -> None:
    read = Genome(folder)
    found = {name: read.codes(name).tolist() for name in read.lengths}
    for file in folder.iterdir():
        records = list(oracles.fasta_genome(unpacked(file.read_bytes())).values())
        name = file.name.split(".")[2]
        expect([found[name]] == records, f"read {found[name]}, expected {records}")


# Windows


def _read_windows(folder: Path) -> None:
    from deepcpg_tf.prediction.sources import SequenceFile

    source = SequenceFile(folder / "file", LENGTH)
    count = source.check()
    found = [row for batch in source.batches() for row in batch.windows.tolist()]
    expected = oracles.windows(unpacked((folder / "file").read_bytes()), LENGTH)
    expect(found == expected and count == len(found), f"read {found}, expected {expected}")


def _read_records(folder: Path) -> None:
    from deepcpg_tf.prediction.sources import FastaFile

    source = FastaFile(folder / "file", LENGTH)
    count = source.check()
    rows = [(batch.keys["id"], batch.windows.tolist()) for batch in source.batches()]
    found = [row for ids, windows in rows for row in zip(ids, windows, strict=True)]
    expected = [
        ((line.split() or [str(number)])[0], oracles.codes(letters))
        for number, (line, letters) in enumerate(
            oracles.fasta(unpacked((folder / "file").read_bytes())), 1
        )
    ]
    expect(found == expected and count == len(found), f"read {found}, expected {expected}")


# Motifs


def _read_meme(folder: Path) -> None:
    from deepcpg_tf.variants.databases import read_meme

    found = read_meme(folder / "file")
    names, rows = oracles.motifs(unpacked((folder / "file").read_bytes()))
    own = [one.name for one in found]
    expect(own == names, f"read {own}, expected {names}")
    values = np.concatenate([one.values for one in found])
    expect(len(values) == len(rows), f"read {len(values)} of {len(rows)} rows")
    expect(np.allclose(values, np.array(rows), rtol=0, atol=0.02), f"read {values} of {rows}")


# Sites and intervals


def _read_sites(folder: Path) -> None:
    from deepcpg_tf.prediction.sources import SiteFile

    source = SiteFile(folder / "file", genome(), LENGTH)
    count = source.check()
    found = []
    for batch in source.batches():
        columns = (batch.keys[name] for name in source.keys)
        found += [(c, int(p), s) for c, p, s in zip(*columns, strict=True)]
    expected = oracles.sites(unpacked((folder / "file").read_bytes()), CHROMOSOMES)
    expect(found == expected and count == len(found), f"read {found}, expected {expected}")


def _read_annotation(folder: Path) -> None:
    from deepcpg_tf.evaluation.annotations import annotate

    names = ("chr1", "2")
    ids, positions = np.repeat([0, 1], 60), np.tile(np.arange(60), 2)
    (found,) = annotate([folder / "file"], names, ids, positions).values()
    masks = oracles.intervals(unpacked((folder / "file").read_bytes()), names, 60)
    expected = np.concatenate([masks[name] for name in names])
    expect((found == expected).all(), f"read {found}, expected {expected}")


# Variants


_VCF = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##contig=<ID=2>\n"
    '##INFO=<ID=DCPG_WHY,Number=A,Type=String,Description="Old">\n'
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
)
_CALLS = (
    ("chr1\t3\trs1", 3, 1, "T,<DEL>"),
    ("chr1\t5\t.", 5, 3, "N,*,A]2:3]"),
    ("chr1\t9\t.", 9, 2, "acgt"),
    ("chr1\t12\t.", 12, 1, "."),
)


def _variant_seeds() -> list[Files]:
    import pysam
    import pysam.bcftools

    letters = CHROMOSOMES["chr1"]
    rows = [
        f"{start}\t{letters[at - 1 : at - 1 + size]}\t{alts}\t50\tPASS\tDCPG_WHY=x"
        for start, at, size, alts in _CALLS
    ]
    plain = _VCF + "\n" + "\n".join(rows) + "\n"
    header = f"{_VCF}\tFORMAT\ta\tb\n"
    called = header + "".join(f"{row}\tGT\t0|1\t./.\n" for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        text, binary = Path(folder, "a.vcf"), Path(folder, "a.bcf")
        text.write_text(called)
        pysam.bcftools.view("-Ob", "-o", str(binary), str(text), catch_stdout=False)
        content = binary.read_bytes()
    return [{"file": plain.encode()}, {"file": called.encode()}, {"file": content}]


def _read_variants(folder: Path) -> None:
    from deepcpg_tf.genome.variants import VcfFile
    from deepcpg_tf.genome.vcf import is_bcf
    from deepcpg_tf.results.vcf import Annotation, annotate

    path, out = folder / "file", folder / "out.vcf"
    samples = VcfFile(path, genome()).samples
    sample = samples[0] if samples else None
    source = VcfFile(path, genome(), sample=sample, allow_mismatches=True)
    account = source.check()
    records = list(source.records())
    expect(len(records) == account.records, f"counted {account.records} of {len(records)}")
    if not is_bcf(path):
        rows = [(r.chromosome, r.position + 1, r.identifier, r.ref, r.alts) for r in records]
        expected = oracles.vcf(unpacked(path.read_bytes()))
        expect(rows == expected, f"read {rows}, expected {expected}")
    for record in records:
        letters = CHROMOSOMES.get(str(record.reference), "")
        end = record.position + len(record.ref)
        for alt, allele in zip(record.alts, record.alleles, strict=True):
            if allele is not None:
                start, ref, new = allele
                edited = letters[:start] + new + letters[start + len(ref) :]
                own = letters[: record.position] + alt.upper() + letters[end:]
                expect(edited == own, f"{record} makes {edited}")
    reasons = [reason for record in records for reason in record.reasons]
    annotate(source, out, (Annotation(reason=reason) for reason in reasons))
    again = list(VcfFile(out, genome(), sample=sample).records())
    expect(again == records, f"wrote {again}, read {records}")


# Checkpoints


def _checkpoint_seeds(*folders: str) -> list[Files]:
    return [
        {
            file.name: file.read_bytes()
            for file in sorted((DATA / folder).iterdir())
            if file.suffix in (".json", ".h5", ".safetensors")
        }
        for folder in folders
    ]


def _read_checkpoint(folder: Path) -> None:
    from deepcpg_tf.weights.load import read_checkpoint
    from deepcpg_tf.weights.preset_folder import read_folder, save_folder

    checkpoint = read_checkpoint(folder)
    checkpoint.check()
    config = checkpoint.config
    shapes = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    expect(shapes == config.tensor_shapes, f"other tensors: {shapes}")
    expect(type(config).from_json(config.to_json()) == config, "other once written as JSON")
    json.dumps(checkpoint.provenance)
    with tempfile.TemporaryDirectory() as other:
        save_folder(checkpoint, Path(other, "model"))
        again = read_folder(Path(other, "model"))
        again.check()
    expect(again.config == config, "another configuration once saved")
    for name, tensor in checkpoint.tensors.items():
        expect(tensor.dtype == np.float32, f"{name} is {tensor.dtype}")
        expect((again.tensors[name] == tensor).all(), f"another {name} once saved")


def _preset_seeds() -> list[Files]:
    from deepcpg_tf.weights.load import read_checkpoint
    from deepcpg_tf.weights.preset_folder import save_folder

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        save_folder(read_checkpoint(DATA / "legacy" / "keras2-distributed"), path)
        return [{file.name: file.read_bytes() for file in sorted(path.iterdir())}]


# Data


def _legacy_data_seeds() -> list[Files]:
    def data(rows: int, last: int) -> bytes:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file["chromo"] = np.array([b"1"] * (rows - 1) + [b"2"])
            file["pos"] = np.array([*(3, 7, 10, 12, 17)[: rows - 1], last], np.int32)
            file["inputs/dna"] = np.arange(rows * LENGTH, dtype=np.int8).reshape(rows, -1) % 5
            file["outputs/cpg/a"] = np.resize(np.array([1, 0, -1], np.int8), rows)
            file["outputs/cpg/b"] = np.resize(np.array([-1, 1], np.int8), rows)
        return buffer.getvalue()

    return [{"a.h5": data(5, 1)}, {"a.h5": data(3, 1), "b.h5": data(1, 9)}]


def _read_legacy_data(folder: Path) -> None:
    from deepcpg_tf.data.legacy.hdf5 import LegacyData
    from deepcpg_tf.data.legacy.tables import table_of_legacy_data

    paths = sorted(folder.iterdir())
    data = LegacyData(paths)
    start = 0
    for path in paths:
        with h5py.File(path) as file:
            positions = np.asarray(file["pos"][()])
            rows = slice(start, start + len(positions))
            start = rows.stop
            expect((data.positions[rows] + 1 == positions).all(), "read other positions")
            names = [data.chromosomes[i].encode() for i in data.chromosome_ids[rows]]
            expect(names == list(file["chromo"][()].astype(bytes)), "read other chromosomes")
            labels = data.labels(np.arange(start)[rows])
            for cell, column in zip(data.cells, labels.T, strict=True):
                expect((file[f"outputs/cpg/{cell}"][()] == column).all(), "read other labels")
            if file.get("inputs/dna") is not None:
                try:
                    windows = data.windows_on_disk().windows(np.arange(start)[rows])
                except LegacyDataError:
                    continue
                expect((file["inputs/dna"][()] == windows).all(), "read other windows")
    expect(start == len(data), "read other sites")
    table_of_legacy_data(data, genome())


@cache
def _table_seeds() -> list[Files]:
    from deepcpg_tf.data.build import table_of_profiles
    from deepcpg_tf.data.table_file import write_table
    from deepcpg_tf.profiles.read import read_profile

    with tempfile.TemporaryDirectory() as folder:
        text, path = Path(folder, "a.cov"), Path(folder, "table.h5ad")
        text.write_text(texts.COV)
        profiles = [read_profile(text, genome(), cell=cell) for cell in ("a", "b")]
        write_table(table_of_profiles(profiles, genome()), path)
        return [{"table.h5ad": path.read_bytes()}]


def _read_table(folder: Path) -> None:
    import anndata

    from deepcpg_tf.data.table_file import read_table

    table = read_table(folder / "table.h5ad")
    try:
        other = anndata.read_h5ad(folder / "table.h5ad")
        calls = other.X.toarray().T
        names = other.var["chromosome"].astype(str).tolist()
        positions, cells = other.var["position"].to_numpy(), other.obs_names.tolist()
    except Exception:  # in what is not read here
        return
    expect((table.calls.toarray() == calls).all(), "read other calls than anndata")
    expect(list(table.cells) == cells, f"read cells {table.cells}, anndata {cells}")
    expect((table.positions == positions).all(), "read other positions than anndata")
    own = [table.chromosomes[i] for i in table.chromosome_ids]
    expect(own == names, "read other chromosomes than anndata")


# What we write and read again


def _manifest_seeds() -> list[Files]:
    from deepcpg_tf.exporters.artefact import Artefact, bounds
    from deepcpg_tf.exporters.describe import COMMON, OWN, window_of
    from deepcpg_tf.exporters.manifest import fingerprint, write_manifest

    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "saved_model").mkdir()
        for name in ("model.onnx", "card.md", "saved_model/graph.pb", "saved_model/more"):
            (folder / name).write_text(name)
        kinds = (
            Artefact("model.onnx", "onnx"),
            Artefact("saved_model", "saved_model", "float16", 2),
        )
        weights = {"sha256": "0" * 64}
        artefacts = {
            a.path: {**a.entry(), "weights": weights, **fingerprint(folder / a.path)} for a in kinds
        }
        content = {
            **dict.fromkeys(COMMON, "x"),
            "bounds": bounds(),
            "window": window_of(LENGTH),
            "exports": {"1": {**dict.fromkeys(OWN, "x"), "weights": weights}},
            "artefacts": artefacts,
            "other_files": {"card.md": fingerprint(folder / "card.md")},
        }
        write_manifest(folder, content)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return [{file.relative_to(folder).as_posix(): file.read_bytes() for file in files}]


def _read_manifest(folder: Path) -> None:
    from deepcpg_tf.exporters.manifest import artefacts_of, changes, read_manifest

    content = read_manifest(folder)
    artefacts_of(content)
    list(changes(folder, content))
    for name in {**content["artefacts"], **content["other_files"]}:
        inside = (folder / name).resolve().is_relative_to(folder.resolve())
        expect(inside, f"accepted a file outside of the export: {name[:60]!r}")


def _read_identity(folder: Path) -> None:
    from deepcpg_tf.resume import owned_folder

    identity = {"inputs": ["a", "b"], "length": 1001, "versions": {"keras": "3.1"}}
    with owned_folder(folder, identity, folder / "result"):
        pass
    kept = folder / "identity.json"
    expect(not kept.exists() or json.loads(kept.read_bytes()) == identity, "went on with another")


def _state_seeds() -> list[Files]:
    from deepcpg_tf.training.state import State, save_state

    variables = {"dna/a/kernel": np.ones((2, 3), "f4"), "cpg/bias": np.zeros(2, "f4")}
    rows = [{"epoch": 1.0, "loss": 0.5, "validation_loss": 0.4}, {"epoch": 2.0, "loss": 0.25}]
    with tempfile.TemporaryDirectory() as folder:
        save_state(Path(folder), State(rows, 1, variables, variables))
        return [{"state.npz": Path(folder, "state.npz").read_bytes()}]


def _read_state(folder: Path) -> None:
    from deepcpg_tf.training.state import load_state

    state = load_state(folder)
    if state is None:
        return
    # What a training asks a state for when it goes on.
    expect(isinstance(state.history, list), f"accepted a history {state.history!r}")
    if state.history:
        _ = state.best_loss, state.waited, state.kept_row
        expect(1 <= state.kept <= len(state.history), f"accepted epoch {state.kept!r}")
    for row in state.history:
        expect(all(isinstance(value, float | int) for value in row.values()), f"accepted {row}")


def _shard_seeds() -> list[Files]:
    from deepcpg_tf.scan.shards import Shard, save_shards

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "shard.npz")
        half = np.full((3, 2), 0.5, np.float32)
        save_shards(
            [Shard("chr1", np.arange(3), half), Shard("chr2", np.arange(1), half[:1])], path
        )
        return [{"shard.npz": path.read_bytes()}]


def _read_shard(folder: Path) -> None:
    from deepcpg_tf.scan.run import _kept

    for shard in _kept(folder / "shard.npz"):
        expect(isinstance(shard.chromosome, str), f"accepted a name {shard.chromosome!r}")
        shapes = shard.positions.shape, shard.probabilities.shape[:1]
        expect(shapes[0] == shapes[1], f"accepted columns of shapes {shapes}")
        expect(shard.positions.dtype == np.int64, f"accepted positions {shard.positions.dtype}")
        expect(shard.probabilities.dtype == np.float32, f"accepted {shard.probabilities.dtype}")


_SPLITS = (
    *({"split": "published"}, {"train": "1,2", "test": "X", "validation": "chr3"}),
    *({"fractions": "0.6,0.2,0.2"}, {"train": "1"}),
)


def _read_split(folder: Path) -> None:
    from deepcpg_tf.cli.split_options import chosen_split
    from deepcpg_tf.data.splits import count_sites

    class Sites:
        chromosomes = ("1", "2", "chr3", "X")
        chromosome_ids = np.array([0, 0, 0, 1, 1, 2, 3, 3], np.int32)

    try:
        options = json.loads((folder / "options.json").read_bytes())
        names = {"split", "train", "validation", "test", "fractions"}
        options = {k: v for k, v in options.items() if k in names and isinstance(v, str)}
    except (ValueError, AttributeError, RecursionError):
        return
    split = chosen_split(**options)(Sites())
    together = np.concatenate(split)
    expect(len(set(together.tolist())) == len(together), "a site is in two parts")
    for a, b in ((0, 1), (0, 2), (1, 2)):
        shared = set(Sites.chromosome_ids[split[a]]) & set(Sites.chromosome_ids[split[b]])
        expect(not shared, f"chromosomes {shared} are in two parts")
    expect(sum(row.sites for row in count_sites(Sites(), split)) == 8, "sites got lost")


TARGETS: dict[str, Target] = {
    **{
        f"profile-{name}": Target(
            partial(_text, only=text), partial(_read_profile, format=its_format), ("file",)
        )
        for name, (text, its_format) in PROFILES.items()
    },
    **{
        name: Target(partial(_store_seeds, name), partial(_read_store, format=name))
        for name in STORES
    },
    "fasta": Target(_fasta_seeds, _read_fasta),
    "fasta-folder": Target(_folder_seeds, _read_folder),
    "windows": Target(
        partial(_text, one="ACGTACGTACG\n", two="NNNNNCGNNNN\r\nacgtacgtacu\n\n"),
        _read_windows,
        ("file",),
    ),
    "windows-fasta": Target(
        partial(_text, one=">a b\nACGTAC\nGTACG\n>c\nNNNNNCGNNNN\n"), _read_records, ("file",)
    ),
    "meme": Target(
        partial(
            _text,
            one="MEME version 4\n\nALPHABET= ACGT\n\nMOTIF a b\n"
            "letter-probability matrix: alength= 4 w= 2 nsites= 20\n0.5 0.5 0 0\n0 0 0.1 0.9\n\n"
            "MOTIF c\nletter-probability matrix:\n"
            "0.25 0.25 0.25 0.25\n",
        ),
        _read_meme,
        ("file",),
    ),
    "sites": Target(
        partial(
            _text,
            bed="track name=x\nchr1\t2\t3\tn\t0\t+\nchr1\t7\t8\tn\t0\t-\nchr2\t0\t2\n",
            tsv="chrom\tpos\nchr1\t3\nchr1\t11\t-\n2\t1\t+\n",
            spaces="chr1 3\nchr2 9\n",
            predictions="chromosome\tposition\tstrand\tc\nchr1\t2\t+\t0.5\nchr2\t0\t-\t0.1\n",
        ),
        _read_sites,
        ("file",),
    ),
    "annotation": Target(
        partial(
            _text,
            one="# c\nchr1\t1\t5\tx\n1\t3\t8\n2\t10\t20\t.\t0\t+\n",
            two="chrom\tstart\tend\n2 0 7\nchr1 59 60\n",
        ),
        _read_annotation,
        ("file",),
    ),
    "variants": Target(_variant_seeds, _read_variants, ("file",)),
    "keras-json": Target(
        partial(
            _checkpoint_seeds,
            *(
                f"legacy/keras{i}-{kind}"
                for i in (1, 2)
                for kind in ("distributed", "weights-only")
            ),
        ),
        _read_checkpoint,
    ),
    "keras-single-file": Target(
        partial(_checkpoint_seeds, "legacy/keras1-single-file", "legacy/keras2-single-file"),
        _read_checkpoint,
    ),
    "multimolecule": Target(partial(_checkpoint_seeds, "multimolecule-tiny"), _read_checkpoint),
    "preset-folder": Target(_preset_seeds, _read_checkpoint),
    "legacy-data": Target(_legacy_data_seeds, _read_legacy_data),
    "table": Target(_table_seeds, _read_table),
    "manifest": Target(_manifest_seeds, _read_manifest),
    "identity": Target(
        lambda: [
            {
                "identity.json": b'{"inputs": ["a", "b"], "length": 1001, '
                b'"versions": {"keras": "3.1"}}',
                "shard-0.npz": b"",
            }
        ],
        _read_identity,
    ),
    "state": Target(_state_seeds, _read_state),
    "shard": Target(_shard_seeds, _read_shard),
    "splits": Target(
        lambda: [{"options.json": json.dumps(options).encode()} for options in _SPLITS],
        _read_split,
    ),
}
