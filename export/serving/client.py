#!/usr/bin/env python3
"""Predict DNA methylation in single cells on a TensorFlow Serving with a model of deepcpg-tf.

Needs nothing but Python for --rest, and tensorflow-serving-api for --grpc.
"""

# Part of deepcpg_tf; licensed under Apache-2.0.

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import signal
import sys
import tempfile
import urllib.error
import urllib.request
import zlib
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn, Protocol, TextIO

_BATCH = 64
"""Windows a request: no more than max_batch_size in batching_parameters.txt."""

_TIMEOUT = 60.0
"""Seconds for one answer."""

# ---- Windows and the table: the same lines in every kit, so that each is one file ----

_LETTERS = "ACGTUNRYSWKMBDHVacgtunryswkmbdhv"
_BLOCK_HEADER, _LAST_BLOCK = 18, 28  # bytes of a block of bgzip: its header, the empty one


class Fault(Exception):  # noqa: N818
    """What a user can mend; the message is one line."""


class Record(NamedTuple):
    """A window as it was read: its name, what an error calls it, letters and their number."""

    name: str
    where: str
    letters: str
    size: int


class Reads(NamedTuple):
    """What a model reads of a site: a window of so many letters, if any, and neighbours.

    Of each of the cells, if any, these are so many states and as many distances. The key is
    what a table for the model says of them.
    """

    length: int | None
    cells: Sequence[str] = ()
    of_each: int = 0
    key: str = ""


class Given(NamedTuple):
    """A site as a model is given it: letters, and numbers of all its cells in a row."""

    letters: bytes = b""
    state: array[float] = array("f")
    dist: array[float] = array("f")


class Windows:
    """The windows of a file: FASTA, a window a record, or text, a window a line.

    They can be gone through again and again, and each is checked every time.

    Parameters
    ----------
    file
        Plain or compressed (gzip, bgzip, bzip2, xz), at any position.
    name
        What an error calls the file.
    length
        Letters that each window must have.
    """

    def __init__(self, file: IO[bytes], name: str, length: int) -> None:
        self.file = file
        self.name = name
        self.length = length

    def __iter__(self) -> Iterator[tuple[str, Given]]:
        for name, where, letters, size in self._records():
            _check_window(where, letters, size, self.length)
            yield name, Given(letters.encode())

    def _records(self) -> Iterator[Record]:
        numbered = enumerate(_lines(self.file, self.name), 1)
        filled = dropwhile(lambda numbered: not numbered[1].strip(), numbered)
        first = next(filled, None)
        if first is None:
            raise Fault(f"{self.name}: expected FASTA, or a window a line, found none")
        read = self._fasta if first[1].startswith((">", ";")) else self._plain
        return read(chain([first], filled))

    def _fasta(self, lines: Iterator[tuple[int, str]]) -> Iterator[Record]:
        number, name, size = 0, "", 0
        parts: list[str] = []
        for line_number, line in chain(lines, [(0, ">")]):
            text = line.strip()
            if line.startswith(">"):
                if number:
                    yield Record(name, self._where(number, name), "".join(parts), size)
                number, size, parts = number + 1, 0, []
                name = next(iter(text[1:].split()), str(number))
                if '"' in name:
                    raise Fault(
                        f"{self._where(number, name)}: expected a name without quotation marks"
                    )
            elif number:
                # Of a chromosome, given by mistake, no more is kept than tells its length.
                parts += [text] if size <= self.length else []
                size += len(text)
            elif text and not text.startswith(";"):
                raise Fault(
                    f"{self.name}, line {line_number}: expected FASTA, whose first record begins "
                    f"with '>', received {text[:60]!r}"
                )
        if number == 1:  # the line that ends the last record
            raise Fault(f"{self.name}: expected FASTA with a window a record, found none")

    def _where(self, number: int, name: str) -> str:
        return f"{self.name}, record {number} ({name})"

    def _plain(self, lines: Iterator[tuple[int, str]]) -> Iterator[Record]:
        empty = 0
        for number, line in lines:
            text = line.strip()
            if not text:
                empty = empty or number
                continue
            if empty:
                raise Fault(
                    f"{self.name}, line {empty}: expected a window of {self.length} letters, "
                    "received an empty line"
                )
            yield Record(str(number), f"{self.name}, line {number}", text, len(text))


class Sites:
    """The sites of a table that ``deepcpg-tf data neighbours`` wrote.

    They can be gone through again and again, and each is checked every time.

    Parameters
    ----------
    file, name
        As of `Windows`.
    reads
        What the model reads, neighbours among it.
    """

    def __init__(self, file: IO[bytes], name: str, reads: Reads) -> None:
        self.file = file
        self.name = name
        self.reads = reads

    def __iter__(self) -> Iterator[tuple[str, Given]]:
        lines = enumerate(_lines(self.file, self.name), 1)
        _, first = next(lines, (0, ""))
        header = first.rstrip("\r\n").split("\t")
        of = {kind: [f"{kind}:{cell}" for cell in self.reads.cells] for kind in ("state", "dist")}
        places = self._places(header, [*of["state"], *of["dist"]])
        count = 0
        for number, line in lines:
            where = f"{self.name}, line {number}"
            columns = line.rstrip("\r\n").split("\t")
            if len(columns) != len(header):
                raise Fault(f"{where}: expected {len(header)} columns, received {len(columns)}")
            row = {column: columns[place] for column, place in places.items()}
            if not (row["position"].isascii() and row["position"].isdecimal()):
                raise Fault(
                    f"{where}: expected a whole number as position, received "
                    f"{row['position'][:60]!r}"
                )
            if row["neighbours"] != self.reads.key:
                raise Fault(
                    f"{where}, column 'neighbours': expected {self.reads.key}, received "
                    f"{row['neighbours'][:60]!r}: neighbours as another model reads them, other in "
                    "number, cells, largest distance or mean states; `deepcpg-tf data neighbours` "
                    "writes a table for this one"
                )
            letters = row.get("window", "")
            if self.reads.length is not None:
                _check_window(where, letters, len(letters), self.reads.length)
            state, dist = (self._numbers(where, row, of[kind]) for kind in ("state", "dist"))
            count += 1
            yield f"{row['chromosome']}:{row['position']}", Given(letters.encode(), state, dist)
        if not count:
            raise Fault(f"{self.name}: expected a site a line after the header, found none")

    def _places(self, header: Sequence[str], numbers: Sequence[str]) -> dict[str, int]:
        letters = ["window"] if self.reads.length is not None else []
        needed = ["chromosome", "position", *letters, *numbers, "neighbours"]
        for column in needed:
            if header.count(column) != 1:
                raise Fault(
                    f"{self.name}: expected a table that `deepcpg-tf data neighbours` wrote for "
                    f"this model, with one column {column!r}, found {header.count(column)}"
                )
        return {column: header.index(column) for column in needed}

    def _numbers(self, where: str, row: dict[str, str], columns: Sequence[str]) -> array[float]:
        found = array("f")
        for column in columns:
            try:
                values = array("f", map(float, row[column].split(",")))
            except ValueError:
                values = array("f")
            if len(values) != self.reads.of_each or not all(0 <= value <= 1 for value in values):
                raise Fault(
                    f"{where}, column {column!r}: expected {self.reads.of_each} numbers from 0 to "
                    f"1, received {row[column][:60]!r}"
                )
            found.extend(values)
        return found


def _check_window(where: str, letters: str, size: int, length: int) -> None:
    if size != length:
        raise Fault(f"{where}: expected a window of {length} letters, received {size}")
    if foreign := letters.lstrip(_LETTERS):
        raise Fault(
            f"{where}, position {size - len(foreign) + 1}: expected a nucleotide "
            "letter (A, C, G, T, U, N or another of IUPAC), "
            f"received {foreign[0]!r}"
        )


def _lines(file: IO[bytes], name: str) -> Iterator[str]:
    """Yield lines, whatever ends them, without the mark that may begin a text."""
    file.seek(0)
    start = file.read(_BLOCK_HEADER)
    file.seek(0)
    opened: Any = file
    if start.startswith(b"\x1f\x8b"):
        _check_bgzip(file, name)
        opened = gzip.GzipFile(fileobj=file)
    elif start.startswith(b"BZh") and start[3:4].isdigit():
        opened = bz2.BZ2File(file)
    elif start.startswith(b"\xfd7zXZ\0"):
        opened = lzma.LZMAFile(file)  # noqa: SIM115
    text = io.TextIOWrapper(opened, encoding="utf-8-sig")
    try:
        yield from text
    except UnicodeDecodeError as error:
        raise Fault(f"{name}: expected text, plain or compressed, but {error}") from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise Fault(f"{name}: cannot be read: {error}") from None
    finally:
        with suppress(ValueError):  # who has stopped reading may have closed the file
            text.detach()


def _check_bgzip(file: IO[bytes], name: str) -> None:
    """Refuse bgzip that was cut off between two of its blocks, which looks whole."""
    size = file.seek(0, io.SEEK_END)
    place = length = 0
    while place < size:
        file.seek(place)
        header = file.read(_BLOCK_HEADER)
        if header[:4] != b"\x1f\x8b\x08\x04" or header[12:16] != b"BC\x02\0":
            break  # gzip of another program
        length = int.from_bytes(header[16:18], "little") + 1
        place += length
    file.seek(0)
    if length and place >= size and length != _LAST_BLOCK:
        raise Fault(f"{name}: cannot be read: it is cut off, as bgzip ends with an empty block")


@contextmanager
def checked_input(path: str, reads: Reads) -> Iterator[Iterable[tuple[str, Given]]]:
    """Yield the windows or sites of a file, or of stdin (``-``), after all were checked."""
    name = "stdin" if path == "-" else path
    with ExitStack() as stack:
        try:
            file = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))
            if path == "-" or not file.seekable():
                # A pipe is read once, and all of it is needed twice: to check, and to compute.
                copy = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, copy)
                file = copy
        except OSError as error:
            raise Fault(f"{name}: cannot be read: {error.strerror}") from None
        given: Iterable[tuple[str, Given]] = (
            Sites(file, name, reads)
            if reads.length is None or reads.cells
            else Windows(file, name, reads.length)
        )
        deque(given, maxlen=0)
        yield given


def write_table(
    out: Path | None,
    cells: Sequence[str],
    given: Iterable[tuple[str, Given]],
    run: Callable[[list[Given]], Iterable[Iterable[float]]],
    batch: int,
) -> None:
    """Predict windows or sites, some at a time, and write a line of probabilities for each."""
    with _writing(out) as file:
        print("id", *cells, sep="\t", file=file)
        remaining = iter(given)
        while some := list(islice(remaining, batch)):
            rows = run([site for _, site in some])
            for (name, _), row in zip(some, rows, strict=True):
                print(name, *(f"{value:.7g}" for value in row), sep="\t", file=file)


@contextmanager
def _writing(out: Path | None) -> Iterator[TextIO]:
    """Yield where to write; a file appears under its name once it is complete."""
    if out is None:
        try:
            yield sys.stdout
            sys.stdout.flush()
        except OSError as error:
            # What is still to be written has nowhere to go, and would fail once more at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if isinstance(error, BrokenPipeError):
                sys.exit(1)  # whoever read the table has enough of it
            raise Fault(f"stdout: cannot be written: {error.strerror}") from None
        return
    if out.is_dir():
        raise Fault(f"{out}: expected the name of a file to write, received a folder")
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with partial.open("x", encoding="utf-8") as file:
            yield file
        partial.replace(out)
    except OSError as error:
        raise Fault(f"{out}: cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Fault(f"{message} (see --help)")


def end(program: str, main: Callable[[], None]) -> NoReturn:
    """Run a program and exit: 0 done, 2 what the user can mend, told in one line."""
    # How a service manager says stop: what is half written is removed on the way out.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        main()
    except Fault as error:
        print(f"{program}: error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


INPUT = (
    "FASTA or a window a line or, of a model that reads neighbours, a table that deepcpg-tf data "
    "neighbours wrote; plain or compressed; - is stdin"
)

_CALIBRATED = "probabilities_calibrated"
_UNCALIBRATED = (
    "--calibrated: expected an export of a model that keeps what calibrates it (as deepcpg-tf "
    f"train and calibrate write them), found no output {_CALIBRATED} in {{}}"
)

# ---- The end of what every kit has ----


class Server(Protocol):
    """A model on a server: one version of it, the same from the first request to the last."""

    cells: list[str]
    reads: Reads

    def run(self, sites: list[Given]) -> list[Sequence[float]]:
        """Return the probabilities [n, cells] of some sites."""


class Rest:
    """A model behind REST.

    Parameters
    ----------
    url
        Where the server is, as in ``http://localhost:8501``.
    model
        Its name there.
    """

    def __init__(self, url: str, model: str, *, calibrated: bool = False) -> None:
        self._output = _CALIBRATED if calibrated else "probabilities"
        if not url.startswith(("http://", "https://")):
            raise Fault(f"--rest: expected a URL, as in http://localhost:8501, received {url!r}")
        self._place = f"{url.rstrip('/')}/v1/models/{model}"
        try:
            metadata = self._ask("/metadata")
            signatures = metadata["metadata"]["signature_def"]["signature_def"]
            self._version = metadata["model_spec"]["version"]
            default = signatures["serving_default"]
            (cells,) = _shape(default["outputs"]["probabilities"])
            length, inputs, of_each = None, 0, 0
            if "sequences" in default["inputs"]:
                (length,) = _shape(signatures["tokens"]["inputs"]["tokens"])
            if length is None or "state" in default["inputs"]:
                inputs, of_each = _shape(default["inputs"]["state"])
        except (KeyError, TypeError, IndexError, ValueError):
            raise Fault(f"{self._place}: {_OF_ANOTHER_KIND}") from None
        if self._output not in default["outputs"]:
            raise Fault(_UNCALIBRATED.format(self._place))
        self.cells: list[str] = self._predict("labels", list(range(cells)))
        self.reads = Reads(length)
        if inputs:
            (key,) = self._predict("neighbours_key", [0])
            names = self._predict("input_labels", list(range(inputs)))
            self.reads = Reads(length, names, of_each, key)

    def run(self, sites: list[Given]) -> list[Sequence[float]]:
        """Return the probabilities [n, cells] of some sites."""
        inputs: dict[str, list[Any]] = {}
        if self.reads.length is not None:
            inputs["sequences"] = [site.letters.decode() for site in sites]
        if self.reads.cells:
            inputs["state"] = [self._cells(site.state) for site in sites]
            inputs["dist"] = [self._cells(site.dist) for site in sites]
        values = inputs if len(inputs) > 1 else inputs["sequences"]
        outputs = self._predict("serving_default", values)
        # As float32, which the decimals of JSON stand for, a table is the same as over gRPC.
        return [array("f", row) for row in outputs[self._output]]

    def _cells(self, numbers: array[float]) -> list[list[float]]:
        """Return the numbers of each cell, with as few digits as tell one float32 from the next."""
        size = self.reads.of_each
        values = [float(f"{value:.9g}") for value in numbers]
        return [values[start : start + size] for start in range(0, len(values), size)]

    def _predict(self, signature: str, values: Any) -> Any:
        # By column, an input alone is its values, and an output alone too.
        request = {"signature_name": signature, "inputs": values}
        return self._ask(f"/versions/{self._version}:predict", request)["outputs"]

    def _ask(self, path: str, content: dict[str, Any] | None = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        try:
            request = urllib.request.Request(self._place + path, data)
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Fault(f"{self._place}: server error {error.code}: {_message(error)}") from None
        except urllib.error.URLError as error:
            raise Fault(f"{self._place}: cannot be reached: {error.reason}") from None
        except (OSError, HTTPException) as error:
            raise Fault(f"{self._place}: the answer was cut off: {error!r}") from None
        except ValueError as error:
            raise Fault(f"{self._place}: expected TensorFlow Serving there, but {error}") from None


_OF_ANOTHER_KIND = "expected a model that deepcpg-tf exported, received one with other signatures"


def _shape(tensor: Any) -> list[int]:
    """Return the shape for one site."""
    return [int(dim["size"]) for dim in tensor["tensor_shape"]["dim"][1:]]


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return str(error.reason)  # not TensorFlow Serving's, but of something before it


class Grpc:
    """A model behind gRPC.

    Parameters
    ----------
    target
        Where the server is, as in ``localhost:8500``.
    model
        Its name there.
    """

    def __init__(self, target: str, model: str, *, calibrated: bool = False) -> None:
        self._output = _CALIBRATED if calibrated else "probabilities"
        try:
            with _no_stderr():
                import grpc
                import tensorflow as tf
                from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
                from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ImportError as error:
            raise Fault(f"{error}: pip install tensorflow-serving-api") from None
        self._place = f"{target}, model {model}"
        self._grpc, self._tf = grpc, tf
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(
            grpc.insecure_channel(target)
        )
        request = metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = model
        answer = self._call(self._stub.GetModelMetadata, request)
        found = metadata_pb2.SignatureDefMap.FromString(answer.metadata["signature_def"].value)
        # In the maps of a message, what is not there is empty.
        signatures = found.signature_def
        default = signatures["serving_default"]
        try:
            (cells,) = self._shape(default.outputs["probabilities"])
            length, inputs, of_each = None, 0, 0
            if "sequences" in default.inputs:
                (length,) = self._shape(signatures["tokens"].inputs["tokens"])
            if length is None or "state" in default.inputs:
                inputs, of_each = self._shape(default.inputs["state"])
        except ValueError:
            raise Fault(f"{self._place}: {_OF_ANOTHER_KIND}") from None
        if self._output not in default.outputs:
            raise Fault(_UNCALIBRATED.format(self._place))
        self._request = predict_pb2.PredictRequest
        self._spec = answer.model_spec
        self.cells: list[str] = self._names("labels", cells)
        self.reads = Reads(length)
        if inputs:
            (key,) = self._names("neighbours_key", 1, "neighbours_key")
            self.reads = Reads(length, self._names("input_labels", inputs), of_each, key)

    def run(self, sites: list[Given]) -> list[Sequence[float]]:
        """Return the probabilities [n, cells] of some sites."""
        inputs: dict[str, Any] = {}
        if self.reads.length is not None:
            inputs["sequences"] = [site.letters for site in sites]
        if self.reads.cells:
            shape = len(sites), len(self.reads.cells), self.reads.of_each
            for name in ("state", "dist"):
                numbers = b"".join(getattr(site, name).tobytes() for site in sites)
                inputs[name] = self._tf.reshape(
                    self._tf.io.decode_raw(numbers, self._tf.float32), shape
                )
        values = self._predict("serving_default", inputs, self._output)
        probabilities: list[Sequence[float]] = values.tolist()
        return probabilities

    def _names(self, signature: str, count: int, output: str = "cells") -> list[str]:
        index = self._tf.constant(list(range(count)), self._tf.int64)
        return [name.decode() for name in self._predict(signature, {"index": index}, output)]

    @staticmethod
    def _shape(tensor: Any) -> list[int]:
        """Return the shape for one site."""
        return [dim.size for dim in tensor.tensor_shape.dim[1:]]

    def _predict(self, signature: str, inputs: dict[str, Any], output: str) -> Any:
        request = self._request(model_spec=self._spec, output_filter=[output])
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(self._tf.make_tensor_proto(values))
        answer = self._call(self._stub.Predict, request)
        return self._tf.make_ndarray(answer.outputs[output])

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=_TIMEOUT)
        except self._grpc.RpcError as error:
            message = f"{error.code().name}: {error.details()}"
            raise Fault(f"{self._place}: server error {message}") from None


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Silence TensorFlow, which has a lot to tell when it is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def main() -> None:
    """Read the arguments, ask for the cells, check all windows, predict them."""
    parser = _Parser(description=__doc__.splitlines()[0] if __doc__ else None)
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--rest", metavar="URL", help="as in http://localhost:8501")
    server.add_argument("--grpc", metavar="HOST:PORT", help="as in localhost:8500")
    parser.add_argument("--model", default="deepcpg", help="its name on the server")
    parser.add_argument("input", metavar="INPUT", help=INPUT)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: stdout)")
    parser.add_argument(
        "--calibrated", action="store_true", help="probabilities as the model was calibrated"
    )
    arguments = parser.parse_args()
    model: Server = (
        Grpc(arguments.grpc, arguments.model, calibrated=arguments.calibrated)
        if arguments.rest is None
        else Rest(arguments.rest, arguments.model, calibrated=arguments.calibrated)
    )
    with checked_input(arguments.input, model.reads) as given:
        write_table(arguments.out, model.cells, given, model.run, _BATCH)


if __name__ == "__main__":
    end("deepcpg_client", main)
