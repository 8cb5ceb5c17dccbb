"""The peer's side of the scan benchmark: MultiMolecule's model, predicting with PyTorch.

It runs in the environment that `benchmarks.peer` makes; its arguments are a file of
windows as token ids (uint8 [n, length]), the number of cells, and JSON with the
convolutions. It speaks as `peer_training` does; the question is
``{"predict": MODE, "batch": SIZE}``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from multimolecule import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction


def answer(models: dict[str, Any], windows: torch.Tensor, question: dict[str, Any]) -> Any:
    """Predict all windows."""
    model, size = models[question["predict"]], int(question["batch"])
    start = time.perf_counter()
    try:
        with torch.inference_mode():
            for first in range(0, len(windows), size):
                model(input_ids=windows[first : first + size]).logits.numpy()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    return {"seconds": time.perf_counter() - start}


def main() -> None:
    """Answer until standard input ends."""
    # Libraries print on standard output, which is for answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    path, cells, convolutions = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    windows = torch.from_numpy(np.load(path).astype(np.int64))
    model = DeepCpgDnaForSequencePrediction(DeepCpgDnaConfig(num_labels=cells, **convolutions))
    model.eval()
    models = {"eager": model, "compiled": torch.compile(model)}
    about = {
        "torch": version("torch"),
        "multimolecule": version("multimolecule"),
        "threads": torch.get_num_threads(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    print(json.dumps(about), file=answers)
    for line in sys.stdin:
        print(json.dumps(answer(models, windows, json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
