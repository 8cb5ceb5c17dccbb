"""``deepcpg-tf convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepcpg_tf.cli.options import Debug, names
from deepcpg_tf.errors import ConfigError


def convert(
    out: Annotated[Path, typer.Option(help="The folder to write.", metavar="DIR")],
    model_json: Annotated[
        Path | None, typer.Option(help="Keras JSON of a legacy model.", metavar="FILE")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="HDF5 that goes with --model-json.", metavar="FILE")
    ] = None,
    model_h5: Annotated[
        Path | None, typer.Option(help="HDF5 with a whole legacy model.", metavar="FILE")
    ] = None,
    multimolecule: Annotated[
        Path | None, typer.Option(help="Folder of a MultiMolecule model.", metavar="DIR")
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(help="Of a Joint module only this module: dna or cpg.", metavar="PART"),
    ] = None,
    input_cells: Annotated[
        str | None,
        typer.Option(
            help="The cells whose neighbours a CpG or Joint module reads, in order, where the file "
            "does not say: A,B,C.",
            metavar="LIST",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Convert a legacy or MultiMolecule checkpoint to a folder that every command reads."""
    given = {
        "--model-json": model_json,
        "--weights": weights,
        "--model-h5": model_h5,
        "--multimolecule": multimolecule,
    }
    named = [name for name, value in given.items() if value is not None]
    if named not in (["--model-json", "--weights"], ["--model-h5"], ["--multimolecule"]):
        raise ConfigError(
            "input: expected --model-json with --weights, or --model-h5, or --multimolecule, "
            f"received {' and '.join(named) or 'none'}"
        )
    if multimolecule is not None and input_cells is not None:
        raise ConfigError("--input-cells: expected none with --multimolecule, a DNA module")
    cells = names(input_cells)
    from deepcpg_tf.workflows.opening import check_files, check_other_than

    check_files(model_json, weights, model_h5)
    check_other_than(out, model_json, weights, model_h5, multimolecule)
    from deepcpg_tf.weights.preset_folder import check_folder

    check_folder(out)
    from deepcpg_tf.weights import keras_legacy
    from deepcpg_tf.weights.checkpoint import part_of
    from deepcpg_tf.weights.multimolecule import read_multimolecule

    if model_json is not None and weights is not None:
        checkpoint = keras_legacy.read_json_and_weights(model_json, weights, cells)
    elif model_h5 is not None:
        checkpoint = keras_legacy.read_model_h5(model_h5, cells)
    elif multimolecule is not None:
        checkpoint = read_multimolecule(multimolecule)
    if part is not None:
        checkpoint = part_of(checkpoint, part)
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    from deepcpg_tf.models.registry import build_model

    model = build_model(checkpoint)
    model.save_to_preset(out)
    config = model.config
    heads = f"{len(config.cells)} cells" + "".join(f", {name}" for name in config.outputs)
    heads = heads if config.head.trained else "without heads"
    read = {"windows": "windows of {} bases", "state": "of {} cells {} neighbours each"}
    reads = [read[one.name].format(*one.shape) for one in model.reads if one.name in read]
    origin = checkpoint.provenance["format"]
    print(f"{out}: {config.architecture}, {heads}, {', '.join(reads)}, from {origin}")
