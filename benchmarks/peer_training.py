"""The peer's side of the training benchmark: MultiMolecule's model, trained by PyTorch.

It runs in the environment that `benchmarks.peer` makes, with a file of batches as its
argument. It answers each line of JSON on standard input with one on standard output:
first, unasked, with what it is; then ``{"train": MODE}`` with the seconds of a pass over
the batches, or with an error. It does nothing in between.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from multimolecule import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
from torch.nn.functional import binary_cross_entropy_with_logits

Batches = list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
Pass = Callable[[], None]


def load(path: str) -> Batches:
    """Read the batches, ready to be trained on: token ids, labels, and 0 where missing."""
    with np.load(path) as file:
        tokens, labels = file["tokens"], file["labels"]
    return [
        (
            torch.from_numpy(rows.astype(np.int64)),
            torch.from_numpy(np.maximum(values, 0).astype(np.float32)),
            torch.from_numpy((values >= 0).astype(np.float32)),
        )
        for rows, values in zip(tokens, labels, strict=True)
    ]


def make_pass(batches: Batches, learning_rate: float, mode: str) -> Pass:
    """Return the function that trains a new model on all batches."""
    torch.manual_seed(0)
    model = DeepCpgDnaForSequencePrediction(DeepCpgDnaConfig(num_labels=batches[0][1].shape[1]))
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    forward = torch.compile(model) if mode == "compiled" else model

    def train() -> None:
        for tokens, labels, observed in batches:
            optimizer.zero_grad()
            logits = forward(input_ids=tokens).logits
            losses = binary_cross_entropy_with_logits(logits, labels, observed, reduction="sum")
            loss = losses / len(tokens)
            loss.backward()
            optimizer.step()

    return train


def answer(passes: dict[str, Pass], question: dict[str, str]) -> dict[str, Any]:
    """Make a pass over the batches."""
    start = time.perf_counter()
    try:
        passes[question["train"]]()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    return {"seconds": time.perf_counter() - start}


def main() -> None:
    """Answer until standard input ends."""
    # Libraries print on standard output, which is for answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    path, learning_rate = sys.argv[1], float(sys.argv[2])
    batches = load(path)
    passes = {mode: make_pass(batches, learning_rate, mode) for mode in ("eager", "compiled")}
    model = DeepCpgDnaForSequencePrediction(DeepCpgDnaConfig())
    about = {
        "torch": version("torch"),
        "multimolecule": version("multimolecule"),
        "threads": torch.get_num_threads(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "channels": model.config.vocab_size,
    }
    print(json.dumps(about), file=answers)
    for line in sys.stdin:
        print(json.dumps(answer(passes, json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
