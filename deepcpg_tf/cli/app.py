"""The command ``deepcpg-tf``: its commands, and how it ends when one fails."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from typing import Annotated, NoReturn

import typer

import deepcpg_tf
from deepcpg_tf.cli import (
    attributions,
    cache,
    calibrate,
    convert,
    data,
    effects,
    evaluate,
    export,
    impute,
    motifs,
    mutagenesis,
    predict,
    presets,
    regions,
    signals,
    train,
)
from deepcpg_tf.cli.command import Command, ManyValues
from deepcpg_tf.cli.lines import one_line
from deepcpg_tf.errors import DeepCpgError

app = typer.Typer(
    name="deepcpg-tf",
    no_args_is_help=True,
    add_completion=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"deepcpg-tf {deepcpg_tf.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Predict the DNA methylation of single cells from sequence with DeepCpG."""


app.command("predict", cls=Command)(predict.predict)
app.command("impute", cls=Command)(impute.impute)
app.command("effects", cls=Command)(effects.effects)
app.command("regions", cls=Command)(regions.regions)
app.command("attributions", cls=Command)(attributions.attributions)
app.command("convert", cls=Command)(convert.convert)
app.add_typer(data.app)
app.command("train", cls=Command)(train.train)
app.command("evaluate", cls=ManyValues)(evaluate.evaluate)
app.command("calibrate", cls=ManyValues)(calibrate.calibrate)
app.command("motifs", cls=Command)(motifs.motifs)
app.command("mutagenesis", cls=Command)(mutagenesis.mutagenesis)
app.command("export", cls=Command)(export.export)
app.command("verify", cls=Command)(export.verify)
app.command("presets", cls=Command)(presets.presets)
app.command("fetch", cls=Command)(presets.fetch)
app.add_typer(cache.app)


def main() -> NoReturn:
    """Run the command line and exit.

    Exit codes: 0 done · 2 an error the user can mend, told in one line on stderr ·
    1 an error of ours · 130 interrupted.
    """
    _silence_tensorflow()
    signals.listen()
    warnings.showwarning = _show_warning
    try:
        code = app(standalone_mode=False)
    except Exception as error:
        number = signals.received()
        if number is None:
            _tell(error)
        code = 128 + number
    finally:
        signals.forget()
    if code == 130:  # also what Typer makes of Ctrl-C
        _fail("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _tell(error: Exception) -> NoReturn:
    """End with one line for an error."""
    if isinstance(error, typer.TyperException):
        if not error.format_message():  # no command: the help has been printed
            sys.exit(error.exit_code)
        _fail(f"{error.format_message().rstrip('.')} (see --help)", error.exit_code)
    if "--debug" in sys.argv:
        traceback.print_exception(error)
    if isinstance(error, DeepCpgError):
        _fail(str(error), 2)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{os.strerror(error.errno) if error.errno else error}", 2)
    _fail(f"internal error, {type(error).__name__}: {error} (--debug shows where)", 1)


def _fail(message: str, code: int) -> NoReturn:
    print(f"deepcpg-tf: error: {one_line(message)}", file=sys.stderr)
    sys.exit(code)


def _show_warning(message: Warning | str, *where: object, **how: object) -> None:
    print(f"deepcpg-tf: warning: {one_line(str(message))}", file=sys.stderr)


def _silence_tensorflow() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
