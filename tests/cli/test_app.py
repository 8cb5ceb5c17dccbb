import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
import time

import pytest

from deepcpg_tf.cli.app import main
from tests.conftest import DATA

TINY = DATA / "legacy" / "keras1-distributed"


def command(*arguments):
    return [sys.executable, "-m", "deepcpg_tf", *map(str, arguments)]


COMMANDS = (
    *("predict", "convert", "fetch", "presets", "train", "evaluate", "impute", "export", "verify"),
    *("data build", "data show", "data split", "data import-legacy", "cache list", "cache clear"),
)

# What a start takes long for; NumPy alone is a tenth of a second.
HEAVY = {
    *("tensorflow", "keras", "numpy", "scipy", "sklearn", "pandas", "polars", "pyarrow"),
    *("anndata", "h5py", "pysam", "matplotlib", "onnx", "onnxruntime", "tf2onnx", "safetensors"),
    *("ai_edge_litert", "tensorflow_serving", "grpc", "pybigtools", "tensorboard", "torch"),
}

SHOW_HELP = """
import sys
from deepcpg_tf.cli.app import main
for command in sys.argv[1:]:
    sys.argv = ["deepcpg-tf", *command.split()]
    try:
        main()
    except SystemExit as exit:
        assert exit.code == 0, command
print(*sys.modules, file=sys.stderr)
"""


def test_help_imports_nothing_heavy():
    """That is what makes it quick, on any machine; ``benchmarks/startup.py`` measures it."""
    commands = ["--help", "--version", "presets", *(f"{command} --help" for command in COMMANDS)]
    process = [sys.executable, "-c", SHOW_HELP, *commands]
    done = subprocess.run(process, check=True, capture_output=True, text=True)
    assert done.stdout.count("Usage") == 1 + len(COMMANDS)
    imported = {name.partition(".")[0] for name in done.stderr.split()}
    assert "deepcpg_tf" in imported
    assert not imported & HEAVY


def test_neither_tensorflow_nor_a_reader_that_leaves_causes_noise(tmp_path):
    windows = (TINY / "sequences.txt").read_text() * 2000
    (tmp_path / "windows.txt").write_text(windows)
    arguments = command("predict", TINY, "--sequences", tmp_path / "windows.txt")
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"id\t")
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["predict", "--frobnicate"], "No such option: --frobnicate"),
        (["predict"], "Missing argument 'MODEL'"),
        (["convert"], "Missing option '--out'"),
    ],
)
def test_usage_errors(fails, arguments, message):
    assert message in fails(*arguments)


def test_debug_shows_the_traceback(run):
    result = run("predict", "no-such-model", "--sequence", "ACGT", "--debug")
    assert result.code == 2
    assert "Traceback" in result.err
    assert result.err.splitlines()[-1].startswith("deepcpg-tf: error: no-such-model: expected")


def test_an_error_of_ours_is_told_apart(run, monkeypatch):
    from deepcpg_tf.weights import store

    monkeypatch.setattr(store, "cached", lambda preset: 1 / 0)
    result = run("presets")
    assert result.code == 1
    assert "internal error, ZeroDivisionError: division by zero" in result.err
    assert "Traceback" not in result.err


def test_version(run):
    import deepcpg_tf

    result = run("--version")
    assert (result.code, result.out) == (0, f"deepcpg-tf {deepcpg_tf.__version__}\n")


SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}


@pytest.fixture(autouse=True)
def hangup_is_heard():
    """By what is started here, where the tests run under nohup, too."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def stop(process, name, written):
    """Send a signal as soon as something is written; nothing may stay. Return what is told."""
    while not written():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate()
    assert process.returncode == SIGNALS[name]
    assert b"Traceback" not in errors
    assert not written()
    return errors


# In steps: a signal just before a call of C is heard when that call ends.
WORK = """
import time

def work():
    for _ in range(60_000):
        time.sleep(0.01)
"""


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_leaves_nothing_half_written(tmp_path, name):
    """Of a command that writes a file for ever."""
    code = (
        f"{WORK}"
        "import sys, time\n"
        "from pathlib import Path\n"
        "from deepcpg_tf.cli.app import app, main\n"
        "from deepcpg_tf.files import atomic_file\n"
        "@app.command()\n"
        "def write(path: Path) -> None:\n"
        "    with atomic_file(path) as partial:\n"
        "        partial.write_text('half')\n"
        "        work()\n"
        "main()\n"
    )
    arguments = [sys.executable, "-c", code, "write", str(tmp_path / "table.tsv")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        stop(process, name, lambda: list(tmp_path.iterdir()))


LOSE = (
    WORK
    + """
import sys, time
from pathlib import Path
from deepcpg_tf.cli import signals
from deepcpg_tf.cli.app import app, main
from deepcpg_tf.files import atomic_file

signals.PATIENCE = 0.5

class Waits:
    def __del__(self):
        work()

@app.command()
def other(path: Path) -> None:
    with atomic_file(path):
        try:
            work()
        except BaseException:
            print("a traceback", file=sys.stderr)
            raise AttributeError("'dict' object has no attribute '_type_spec'") from None

@app.command()
def lost(path: Path) -> None:
    with atomic_file(path):
        Waits()
        work()

@app.command()
def slow(path: Path) -> None:
    with atomic_file(path):
        try:
            print("at work", flush=True)
            work()
        finally:
            time.sleep(3 * signals.PATIENCE)
            path.with_name("cleaned").touch()

main()
"""
)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("command", ["other", "lost"])
def test_a_signal_that_a_library_makes_something_else_of(tmp_path, name, command):
    """One in C that was calling Python: it raises another error, or goes on."""
    arguments = [sys.executable, "-c", LOSE, command, str(tmp_path / "table.tsv")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        errors = stop(process, name, lambda: list(tmp_path.iterdir()))
    assert errors == b""


def test_a_slow_end_is_not_interrupted(tmp_path):
    """What an exit on its way out does is done to the end, however long it takes."""
    folder = tmp_path / "out"
    folder.mkdir()
    arguments = [sys.executable, "-c", LOSE, "slow", str(folder / "table.tsv")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"at work\n"
        process.terminate()
        assert process.wait(60) == 143
    assert [file.name for file in folder.iterdir()] == ["cleaned"]


def test_an_interrupt_that_a_library_makes_something_else_of(tmp_path):
    arguments = [sys.executable, "-c", LOSE, "other", str(tmp_path / "table.tsv")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        errors = stop(process, "SIGINT", lambda: list(tmp_path.iterdir()))
    assert errors.endswith(b"deepcpg-tf: error: interrupted\n")
    assert b"_type_spec" not in errors


def test_a_lost_connection_is_ignored_under_nohup(tmp_path):
    code = (
        "import os, signal\n"
        "from deepcpg_tf.cli.app import app, main\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "@app.command()\n"
        "def hang_up() -> None:\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    print('done')\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "hang-up"], capture_output=True, check=True)
    assert done.stdout == b"done\n"


@pytest.mark.full
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_stops_a_prediction(tmp_path, name):
    windows, out = tmp_path / "windows.txt", tmp_path / "out"
    windows.write_text((TINY / "sequences.txt").read_text() * 50_000)
    out.mkdir()
    arguments = command("predict", TINY, "--sequences", windows, "--out", out / "table.tsv")
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        stop(process, name, lambda: list(out.iterdir()))


@pytest.fixture
def in_terminal(monkeypatch):
    """Run a command whose output is a terminal, and return its exit code and output."""

    def call(*arguments):
        ours, theirs = pty.openpty()
        shown = []

        def read():
            with contextlib.suppress(OSError):  # how a terminal ends
                while part := os.read(ours, 1 << 16):
                    shown.append(part)

        reader = threading.Thread(target=read)
        reader.start()
        with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            patch.setattr(sys, "stderr", terminal)
            patch.setattr(sys, "argv", ["deepcpg-tf", *map(str, arguments)])
            with pytest.raises(SystemExit) as exit_:
                main()
        reader.join()
        os.close(ours)
        return exit_.value.code, b"".join(shown).decode()

    return call


def test_progress_in_a_terminal(in_terminal, tmp_path):
    windows = tmp_path / "windows.txt"
    windows.write_text((TINY / "sequences.txt").read_text() * 2000)
    arguments = ("predict", TINY, "--sequences", windows, "--out", tmp_path / "out.tsv")
    code, shown = in_terminal(*arguments)
    assert code == 0, shown
    assert "predicting" in shown
    assert "24000/24000" in shown
    assert "windows/s" in shown


def test_training_in_a_terminal(in_terminal, tmp_path):
    data = sorted((DATA / "original-run" / "data").glob("*.h5"))
    more = ("--train", "1", "--validation", "2", "--epochs", "1", "--from", TINY)
    code, shown = in_terminal("train", *data, *more, "--out", tmp_path / "model")
    assert code == 0, shown
    assert "epoch 1/1" in shown
    arguments = ("--out", tmp_path / "evaluation")
    code, shown = in_terminal("evaluate", tmp_path / "model", *data, *arguments)
    assert code == 0, shown
    assert "evaluating" in shown


@pytest.mark.parametrize("command", [[], ["data"]])
def test_no_command_shows_the_help(run, command):
    result = run(*command)
    assert "Usage" in result.out + result.err
    assert "error:  " not in result.err


def test_impute_says_what_its_probabilities_are(run):
    text = " ".join(run("impute", "--help").out.split())
    assert "Probabilities are calibrated: a model that was trained with balanced classes" in text
