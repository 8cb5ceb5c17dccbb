"""``deepcpg-tf cache``: what is kept between calls, shown and removed."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import typer

from deepcpg_tf import cache
from deepcpg_tf.cli.command import Command
from deepcpg_tf.cli.options import Debug
from deepcpg_tf.cli.rows import print_rows

app = typer.Typer(name="cache", help="Show and clear the cache.", no_args_is_help=True)


@app.command("list", cls=Command)
def list_(debug: Debug = False) -> None:
    """List what the cache holds, what of which files, and when it was used last.

    Encoded genomes and unpacked windows together take at most 20 GB, or as many as the
    variable DEEPCPG_TF_CACHE_GB says: those unused for longest go first.
    """
    kept = cache.kept_files()
    shown = [one for one in kept if one.kind != cache.CHECKSUM]
    print_rows(
        ("kind", "megabytes", "used", "of"),
        [
            (one.kind, f"{one.bytes / 1e6:.1f}", _when(one.used), _of(one))
            for one in sorted(shown, key=lambda one: -one.bytes)
        ],
    )
    print(
        f"{cache.cache_folder()}: {_megabytes(sum(one.bytes for one in kept))}; "
        f"genomes and windows at most {_megabytes(cache.bound())}",
        file=sys.stderr,
    )


@app.command("clear", cls=Command)
def clear(
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also downloaded presets, and where data of models lie."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Remove what is made anew when it is needed: encoded genomes, windows and indexes."""
    removed = cache.clear([one for one in cache.kept_files() if one.made or everything])
    print(f"{cache.cache_folder()}: {_megabytes(removed)} removed", file=sys.stderr)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _of(kept: cache.Kept) -> str:
    """Return the files that it was made of, or else what it is called."""
    if not kept.of:
        return str(kept.path.relative_to(cache.cache_folder()))
    more = f" and {len(kept.of) - 1} more" if len(kept.of) > 1 else ""
    return f"{kept.of[0]}{more}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
