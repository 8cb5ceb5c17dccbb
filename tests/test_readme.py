"""The README's examples run as they are written, on small files of the names that they use."""

import gzip
import hashlib
import json
import re
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import typer

from deepcpg_tf import DeepCpgDnaConfig
from deepcpg_tf.cli.app import app
from deepcpg_tf.genome.sequence import decode
from deepcpg_tf.presets import PRESETS
from deepcpg_tf.weights import store
from tests.conftest import DATA
from tests.reference import random_tensors
from tests.shell import README, ROOT, blocks, run_shell
from tests.weights.legacy_files import write_checkpoint

TINY = DATA / "legacy" / "keras1-distributed"

# How each block begins, and where it is run; what is not, and why.
BLOCKS = {
    "make demo": "these run all tests, and the demo in tests/test_demo.py",
    "deepcpg-tf presets": "test_the_published_weights",
    "deepcpg-tf predict MODEL": "test_windows_given_directly",
    "deepcpg-tf convert --model-json model.json": "test_own_legacy_files",
    "deepcpg-tf convert --model-json tests/": "test_what_is_here",
    "deepcpg-tf data build": "test_own_cells",
    "deepcpg-tf train cells.h5ad --split published --module cpg": "test_own_cells",
    "deepcpg-tf effects MODEL": "test_what_a_base_does",
    "deepcpg-tf export": "test_deploy",
    "docker run": "tests/kits/test_readme.py",
    "pip install numpy ai-edge-litert": "tests/kits/test_readme.py",
    "pip install numpy onnxruntime": "tests/kits/test_readme.py",
}


def block(start):
    (found,) = [text for text in blocks("sh") if text.startswith(start)]
    return found


def test_every_block_is_run():
    for text in blocks("sh"):
        assert len([start for start in BLOCKS if text.startswith(start)]) == 1, text
    for start in BLOCKS:
        assert block(start)


@pytest.fixture(params=["here", pytest.param("own processes", marks=pytest.mark.full)])
def shell(request, tmp_path):
    """Run the block that begins so."""

    def call(start):
        return run_shell(block(start), tmp_path, here=request.param == "here")

    return call


def write_genome(folder, chromosomes, length=3000):
    """Write ``GRCm38.fa``, and return the positions of its CpG sites by chromosome."""
    rng, sites = np.random.default_rng(0), {}
    with (folder / "GRCm38.fa").open("w") as file:
        for name in chromosomes:
            letters = decode(rng.integers(0, 4, length).astype(np.uint8))
            sites[name] = [found.start() for found in re.finditer("CG", letters)]
            file.write(f">{name}\n{letters}\n")
    return sites


def columns(path):
    return path.read_text().splitlines()[0].split("\t")


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A server in the place of Zenodo, with a stand-in of random weights."""
    preset = PRESETS["smallwood2014-serum"]
    config = DeepCpgDnaConfig.from_architecture(preset.architecture, cells=preset.cells)
    folder = tmp_path / "zenodo"
    folder.mkdir()
    write_checkpoint(folder, config, random_tensors(config))
    contents = {
        preset.model_file.name: (folder / "model.json").read_bytes(),
        preset.weights_file.name: (folder / "model_weights.h5").read_bytes(),
    }
    sums = [hashlib.md5(content).hexdigest() for content in contents.values()]
    stand_in = preset._replace(model_md5=sums[0], weights_md5=sums[1])
    monkeypatch.setitem(PRESETS, preset.name, stand_in)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = contents[self.path.removeprefix("/").removesuffix("?download=1")]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setattr(store, "BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield preset
        server.shutdown()
        thread.join()


def test_the_published_weights(tmp_path, published):
    import pyarrow.parquet

    sites = write_genome(tmp_path, ["1", "X"], 1500)
    (tmp_path / "sites.bed").write_text(f"1\t{sites['1'][3]}\t{sites['1'][3] + 2}\n")
    printed = run_shell(block("deepcpg-tf presets"), tmp_path)
    assert f"{published.name}\t" in printed
    assert columns(tmp_path / "methylation.tsv") == [
        *("chromosome", "position", "strand", *published.cells),
    ]
    table = pyarrow.parquet.read_table(tmp_path / "all.parquet")
    assert table["position"].to_pylist() == [p for found in sites.values() for p in found]


def fasta(letters):
    return "".join(f">w{i}\n{window}\n" for i, window in enumerate(letters))


def test_windows_given_directly(tmp_path, shell):
    (tmp_path / "MODEL").symlink_to(TINY)
    text = (TINY / "sequences.txt").read_text()
    (tmp_path / "windows.txt").write_text(text)
    (tmp_path / "windows.fa.gz").write_bytes(gzip.compress(fasta(text.split()).encode()))
    assert len(shell("deepcpg-tf predict MODEL").splitlines()) == 2 * 13
    assert (tmp_path / "embedding.parquet").is_file()


def test_own_legacy_files(tmp_path, shell):
    for name in ("model.json", "model_weights.h5"):
        (tmp_path / name).symlink_to(TINY / name)
    (tmp_path / "windows.txt").symlink_to(TINY / "sequences.txt")
    printed = shell("deepcpg-tf convert --model-json model.json")
    assert printed.splitlines()[-13].startswith("id\t")
    assert (tmp_path / "mymodel" / "config.json").is_file()


def test_what_is_here(tmp_path, shell, monkeypatch):
    """The commands on files that are here, then every example in Python."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    shell("deepcpg-tf convert --model-json tests/")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of open(...).read()
        exec("\n".join(blocks("python")), {"__name__": "readme"})
    assert (tmp_path / "methylation.parquet").stat().st_size > 1000
    assert (tmp_path / "copy" / "weights.h5").is_file()


def write_cells(folder):
    """Write a genome with chromosomes of each published part, and cells on it."""
    rng = np.random.default_rng(0)
    sites = write_genome(folder, ["1", "2", "13"])
    (folder / "cells").mkdir()
    for cell in ("a", "b"):
        with gzip.open(folder / "cells" / f"{cell}.cov.gz", "wt") as file:
            for name, positions in sites.items():
                for position in positions:
                    reads = (5, 0) if rng.random() < 0.5 else (0, 4)
                    place = f"{name}\t{position + 1}\t{position + 1}"
                    file.write(f"{place}\t{100 * (reads[0] > 0)}\t{reads[0]}\t{reads[1]}\n")
    return sites


@pytest.mark.full
def test_own_cells(tmp_path, shell):
    sites = write_cells(tmp_path)
    printed = shell("deepcpg-tf data build")
    assert f"{len(sites['1'])} sites to train on, {len(sites['13'])} to validate" in printed
    config = json.loads((tmp_path / "mymodel" / "config.json").read_text())
    assert config["config"]["cells"] == ["a", "b"]
    rows = (tmp_path / "report" / "metrics.tsv").read_text().splitlines()
    assert f"n\tcpg/a\t{len(sites['2'])}" in {row.removesuffix(".0") for row in rows}
    assert (tmp_path / "report" / "report.html").is_file()
    (tmp_path / "sites.bed").write_text(f"1\t{sites['1'][3]}\t{sites['1'][3] + 2}\n")
    shell("deepcpg-tf train cells.h5ad --split published --module cpg")
    config = json.loads((tmp_path / "joint" / "config.json").read_text())
    assert config["architecture"] == "CnnL2h128+RnnL1+JointL2h512"
    assert (tmp_path / "imputed.h5ad").is_file()
    assert (tmp_path / "regions.h5ad").is_file()
    assert len((tmp_path / "sites.tsv").read_text().splitlines()) == 2


@pytest.mark.full
def test_what_a_base_does(tmp_path, shell):
    (tmp_path / "MODEL").symlink_to(TINY)
    (tmp_path / "windows.txt").symlink_to(TINY / "sequences.txt")
    sites = write_genome(tmp_path, ["1"])
    (tmp_path / "GRCm38.fa").rename(tmp_path / "GRCh38.fa")
    lines = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    lines += [f"1\t{position + 1}\t.\tC\tT\t.\t.\t." for position in sites["1"]]
    (tmp_path / "calls.vcf.gz").write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    shell("deepcpg-tf effects MODEL")
    assert columns(tmp_path / "effects.tsv")[:4] == ["chromosome", "position", "ref", "alt"]
    assert (tmp_path / "annotated.vcf.gz").is_file()
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 12
    for name in ("ism.h5ad", "gradients.h5ad", "motifs/meme.txt", "motifs/motifs.html"):
        assert (tmp_path / name).is_file()


@pytest.mark.full
def test_deploy(tmp_path, shell):
    (tmp_path / "mymodel").symlink_to(TINY)
    printed = shell("deepcpg-tf export")
    assert printed.splitlines()[-1].endswith("artefacts are as they should be")
    assert (tmp_path / "exported" / "saved_model" / "1").is_dir()


COMMAND = re.compile(r"deepcpg-tf ((?:(?:data|cache) )?[a-z-]+)((?:[^`\n#]|\\\n)*)")


def commands():
    """Return the options of each command."""
    found = {}

    def visit(group, prefix):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                visit(command, f"{prefix}{name} ")
            else:
                options = {o for one in command.params for o in (*one.opts, *one.secondary_opts)}
                found[f"{prefix}{name}"] = {*options, "--help"}

    visit(typer.main.get_command(app), "")
    return found


def pages():
    yield ROOT / "README.md"
    yield ROOT / "saved_models" / "README.md"
    yield from sorted((ROOT / "docs").glob("*.md"))
    yield from sorted((ROOT / "export").glob("*README.md"))


@pytest.mark.parametrize("page", list(pages()), ids=lambda page: str(page.relative_to(ROOT)))
def test_documented_commands_and_options_exist(page):
    known, text = commands(), page.read_text()
    for command, rest in COMMAND.findall(text):
        assert command in known, command
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", rest):
            assert option in known[command], (command, option)
    if page.parent.name == "export":  # where programs have options of their own
        return
    every = set().union(*known.values(), {"--version", "--debug"})
    for span in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if span.startswith("--"):
            assert span.split()[0] in every, span


def test_every_command_is_documented():
    documented = {command for command, _ in COMMAND.findall(README)}
    assert set(commands()) - documented == set()
