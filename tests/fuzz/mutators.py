"""Damages the content of a file: as bytes, as lines with columns, or as a tree of JSON.

Everything is drawn from a `random.Random`, so that a seed tells an example. What is packed
or a tree inside (gzip, HDF5, npz, safetensors) is in `tests.fuzz.containers`.
"""

import copy
import json

NUMBERS = (
    *(
        "-1",
        "0",
        "1",
        "2",
        "-0",
        "007",
        "+5",
        "1.0",
        "0.5",
        "5e-324",
        "1e99",
        "1e400",
        "nan",
        "inf",
    ),
    *(
        "-inf",
        "NA",
        "1_0",
        "0x10",
        "1,5",
        "100",
        "101",
        "4294967296",
        " 3",
        "3 ",
        "٣",
        "\uff15",
        "²",
    ),
    *(str(2**31 - 1), str(2**31), str(2**63 - 1), str(2**63), str(2**64), "9" * 40, "9" * 5000),
)
WORDS = (
    *("", ".", "+", "-", "#", ">", "track", "chrom", "chr1", "1", "chrchr1", "chrM", "MT", "CG"),
    *("m", "h", '"', "'", "\ufeff", "é", "\u2028", "\x85", "../../x", "a" * 3000, "N", "\ud7ff"),
)
CONTROL = b"\x00\x01\x07\x08\x0b\x0c\x1b\x1c\x1f\x7f\x80\xff\r\n\t "


def pick(rng, *choices):
    return rng.choice(choices)


def span(rng, size, most=64):
    """Return a random piece of something with a size, as start and end."""
    start = rng.randint(0, size)
    return start, min(size, start + rng.randint(0, rng.choice((1, 4, most, max(size, 1)))))


def damage_bytes(content, rng):
    """Return the content with a change that knows nothing of it."""
    data = bytearray(content)
    kind = rng.randrange(9)
    start, end = span(rng, len(data))
    if kind == 0 and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1 and data:
        for _ in range(rng.randint(1, 16)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 2:
        del data[start:]
    elif kind == 3:
        del data[start:end]
    elif kind == 4:
        data[start:start] = data[start:end] * rng.randint(1, 3)
    elif kind == 5:
        data[start:start] = bytes(rng.choice(CONTROL) for _ in range(rng.randint(1, 4)))
    elif kind == 6:
        data[start:end] = rng.choice(NUMBERS + WORDS).encode()
    elif kind == 7:
        other, last = span(rng, len(data))
        data[start:end] = data[other:last]
    else:
        data += pick(rng, b"\0" * 512, b"\n\n", b"garbage", bytes(content))
    return bytes(data)


def damage_lines(content, rng):
    """Return text with a change of lines, or of columns within a line."""
    text = content.decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    kind = rng.randrange(14)
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    if kind == 0:
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 1:
        lines.insert(j, lines[i])
    elif kind == 2:
        del lines[i]
    elif kind == 3:
        lines.insert(i, pick(rng, "", " ", "\t", "# c", "track x", "chrom\tstart\tend", "\v", "\f"))
    elif kind == 4:
        lines[i : i + 2] = ["".join(lines[i : i + 2])]
    elif kind == 5:
        return text.replace("\n", pick(rng, "\r\n", "\r", "\n\n", "\v", "\u2028")).encode(
            "utf-8", "surrogateescape"
        )
    elif kind == 6:
        lines = lines[:i] * rng.randint(1, 3) + lines[j:]
    elif kind == 7:
        return pick(rng, b"\xef\xbb\xbf", b"\xff\xfe", b"\x00") + content
    elif kind == 8:
        lines = [line.replace("\t", pick(rng, " ", ",", "  ")) for line in lines]
    else:
        lines[i] = _damage_columns(lines[i], rng)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _damage_columns(line, rng):
    separator = "\t" if "\t" in line else " "
    columns = line.split(separator)
    i, j = rng.randrange(len(columns)), rng.randrange(len(columns))
    kind = rng.randrange(6)
    if kind == 0:
        columns[i], columns[j] = columns[j], columns[i]
    elif kind == 1:
        columns.insert(j, columns[i])
    elif kind == 2:
        del columns[i]
    elif kind == 3:
        columns[i] = rng.choice(NUMBERS)
    elif kind == 4:
        columns[i] = rng.choice(WORDS)
    elif columns[i].isascii() and columns[i].isdigit() and len(columns[i]) < 20:
        columns[i] = str(int(columns[i]) + rng.choice((-2, -1, 1, 2)))
    return separator.join(columns)


def _values(rng):
    """Return a value of JSON that is none of those expected."""
    return pick(
        rng,
        *(None, True, False, -1, 0, 1, 2, 0.5, 1e99, float("nan"), float("inf"), 2**31, 2**63),
        *(
            10**25,
            10**400,
            "",
            "1",
            "é",
            "\ud800",
            "a\nb",
            "\x1b[31m",
            "../../etc/passwd",
            "x" * 3000,
        ),
        *([], {}, [[]], [None], {"": None}, [1] * 50, {"class_name": "Model"}, -0.5, 4.0, 3),
    )


def damage_tree(tree, rng):
    """Return a JSON value with one change somewhere inside."""
    tree = copy.deepcopy(tree)
    places = list(_places(tree))
    if not places:
        return _values(rng)
    parent, key = rng.choice(places)
    value = parent[key]
    kind = rng.randrange(10)
    if kind == 0:
        del parent[key]
    elif kind in (1, 2):
        parent[key] = _values(rng)
    elif kind == 3:
        other, its_key = rng.choice(places)
        parent[key], other[its_key] = copy.deepcopy(other[its_key]), copy.deepcopy(value)
    elif kind == 4:
        parent[key] = pick(rng, [value], {"value": value}, str(value), [value, value])
    elif kind == 5 and isinstance(parent, dict):
        parent[pick(rng, "", "other", f"{key} ", "0", "name")] = parent.pop(key)
    elif kind == 6 and isinstance(parent, list):
        parent.insert(rng.randint(0, len(parent)), copy.deepcopy(value))
    elif kind == 7 and isinstance(value, list):
        rng.shuffle(value)
    elif kind == 8 and isinstance(value, int | float):
        real = float(min(value, 10**300))
        parent[key] = pick(rng, value + 1, value - 1, -value, value * 10**6, real)
    elif kind == 9 and isinstance(value, list | dict):
        value.clear()
    else:
        other, its_key = rng.choice(places)
        parent[key] = copy.deepcopy(other[its_key])
    return tree


def _places(tree):
    """Yield every place of a value, as what holds it and its key or index there."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


def damage_json(content, rng):
    """Return JSON with a change of its tree, or of its text."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return damage_bytes(content, rng)
    if not isinstance(tree, dict | list) or rng.random() < 0.05:
        depth = rng.choice((10, 200_000))
        return pick(rng, b"", b"null", b"3", b"[]", b"[" * depth, b'{"a":' * depth, b"\xff")
    text = json.dumps(damage_tree(tree, rng))
    if rng.random() < 0.05:  # a key twice
        text = text.replace("{", '{"class_name": 3, "format": 3, ', 1)
    return text.encode("utf-8", "surrogateescape")
