"""Damages what holds a tree in a container: gzip, bgzip, HDF5, npz, safetensors."""

import gzip
import io
import json
import struct
import zlib

import h5py
import numpy as np

from tests.fuzz.mutators import damage_bytes, damage_json, damage_lines, damage_tree, pick

_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def bgzip(content, block=200):
    """Return the content in blocks of bgzip, and an empty one at the end."""
    packed = b""
    for start in range(0, len(content), block):
        part = content[start : start + block]
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = deflate.compress(part) + deflate.flush()
        head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(body) + 25)
        packed += head + body + struct.pack("<II", zlib.crc32(part), len(part))
    return packed + _BGZF_END


def packed(content, rng):
    """Return text as it may lie on disk: plain, gzip of one or two members, or bgzip."""
    kind = rng.randrange(6)
    if kind < 3:
        return content
    if kind == 3:
        return gzip.compress(content, mtime=0)
    if kind == 4:
        half = rng.randint(0, len(content))
        return gzip.compress(content[:half], mtime=0) + gzip.compress(content[half:], mtime=0)
    return bgzip(content, rng.choice((20, 200, 60000)))


def damage(name, content, rng, *, raw_hdf5=True):
    """Return the content of a file with one change, of a kind that fits it.

    HDF5's own library hangs on some files with other bytes, so that they may be left out.
    """
    is_hdf5 = content[:4] == b"\x89HDF"
    if rng.random() < 0.15 and (raw_hdf5 or not is_hdf5):
        return damage_bytes(content, rng)
    if is_hdf5:
        return damage_hdf5(content, rng)
    if content[:2] == b"PK":
        return damage_npz(content, rng)
    if name.endswith(".safetensors"):
        return damage_safetensors(content, rng)
    if name.endswith(".json") or content[:1] == b"{":
        return damage_json(content, rng)
    return damage_lines(content, rng)


def _array(value, rng):
    """Return an array that is not quite the one given, or none at all."""
    kind = rng.randrange(16)
    with np.errstate(all="ignore"):
        if kind == 0:
            return np.asarray(value)[..., None]
        if kind == 1:
            return np.asarray(value).reshape(-1)
        if kind == 2:
            return np.asarray(value).T
        if kind == 3:
            return np.asarray(value)[:-1] if np.ndim(value) else value
        if kind == 4:
            return np.asarray(value)[:0] if np.ndim(value) else value
        if kind == 5:
            return np.resize(value, (2 * np.size(value),))
        if kind in (6, 7) and np.asarray(value).dtype.kind in "biuf" and np.size(value):
            dtype = pick(rng, "f2", "f8", "i1", "u1", "i4", "i8", "u8", "?", "c8", "S4")
            return np.asarray(value).astype(dtype)
        if kind in (8, 9, 10) and np.asarray(value).dtype.kind in "biuf" and np.size(value):
            result = np.array(value)
            edges = (-1, 0, 1, 2, 127, 255, 2**31, 2**62, 0.5, 1e30, np.nan, np.inf, -2)
            result.flat[rng.randrange(result.size)] = np.float64(rng.choice(edges)).astype(
                result.dtype
            )
            return result
        if kind == 11 and np.ndim(value):
            return np.asarray(value)[::-1]
    return pick(
        rng,
        *(np.float32(3), np.array(b"text"), np.int8(-1), np.array([b"a", b"b\xff"]), 2**40),
        *(
            np.zeros((0, 3), "f4"),
            np.zeros(3, [("a", "i4"), ("b", "f4")]),
            True,
            "text",
            "é\x1b[1m",
        ),
    )


def damage_hdf5(content, rng):
    """Return an HDF5 file with a change of an object, or of an attribute of one."""
    buffer = io.BytesIO(content)
    try:
        with h5py.File(buffer, "a") as file:
            names: list[str] = []
            file.visit(names.append)
            if rng.random() < 0.35:
                _damage_attributes(file, names, rng)
            elif names:
                _damage_object(file, rng.choice(names), names, rng)
    except Exception:  # damaged before, so that the library will not have it
        return damage_bytes(content, rng)
    return buffer.getvalue()


def _damage_attributes(file, names, rng):
    holders = [file, *(file[name] for name in names)]
    holders = [item for item in holders if len(item.attrs)] or [file]
    attributes = rng.choice(holders).attrs
    if not len(attributes):
        attributes["other"] = 3
        return
    name = rng.choice(list(attributes))
    value = attributes[name]
    kind = rng.randrange(6)
    if kind == 0:
        del attributes[name]
    elif kind == 1 and isinstance(value, str | bytes):
        text = value.encode() if isinstance(value, str) else value
        attributes[name] = np.bytes_((damage_json if text[:1] == b"{" else damage_bytes)(text, rng))
    elif kind == 2:
        attributes[name] = h5py.Empty("f4")
    elif kind == 3 and np.ndim(value):
        order = np.array(value)
        attributes[name] = order[rng.sample(range(len(order)), len(order))]
    elif kind == 4:
        attributes[name] = pick(
            rng, "text", b"\xff\xfe", 3, -1, np.zeros((2, 2)), "", np.nan, 2**62
        )
    else:
        attributes[name] = _array(value, rng)


def _damage_object(file, name, names, rng):
    item = file[name]
    is_data = isinstance(item, h5py.Dataset)
    kind = rng.randrange(12)
    if is_data and kind < 6:
        value, attributes = item[()], dict(item.attrs)
        new = _array(value, rng)
        del file[name]
        file[name] = new
        for key, attribute in attributes.items():
            file[name].attrs[key] = attribute
    elif kind == 6:
        del file[name]
        if is_data:
            file.create_group(name)
        else:
            file[name] = np.zeros(3)
    elif kind == 7:
        del file[name]
        target = pick(rng, f"/{name}", "/nowhere", f"/{rng.choice(names)}", "/")
        file[name] = pick(
            rng, h5py.SoftLink(target), h5py.ExternalLink("nowhere.h5", "/x"), h5py.Empty("f4")
        )
    elif kind == 8 and is_data:
        # Tiny in the file, and larger than any memory once read.
        shape = tuple(2**40 if i == 0 else size for i, size in enumerate(item.shape)) or (2**40,)
        dtype, attributes = item.dtype, dict(item.attrs)
        del file[name]
        chunks = tuple(min(size, 16) or 1 for size in shape)
        file.create_dataset(name, shape, dtype, chunks=chunks)
        for key, attribute in attributes.items():
            file[name].attrs[key] = attribute
    elif kind == 9:
        file.move(name, pick(rng, f"{name}x", "other", f"{name}/é"[1:], f"{name}\x1b[31m"))
    elif kind == 10:
        file.copy(name, f"{name} again")
    else:
        del file[name]


def damage_npz(content, rng):
    """Return a file of `numpy.savez` with a change of one array."""
    try:
        with np.load(io.BytesIO(content)) as file:
            arrays = {name: file[name] for name in file}
    except Exception:  # damaged before
        return damage_bytes(content, rng)
    if not arrays:
        return damage_bytes(content, rng)
    name = rng.choice(list(arrays))
    value = arrays[name]
    kind = rng.randrange(6)
    if kind == 0:
        del arrays[name]
    elif kind == 1 and value.dtype.kind == "U" and not value.ndim:
        text = str(value).encode()
        damaged = (damage_json if text[:1] == b"{" else damage_bytes)(text, rng)
        arrays[name] = np.array(damaged.decode("utf-8", "replace"))
    elif kind == 2:
        arrays[name] = np.array({"an": "object"}, object)
    elif kind == 3:
        arrays[f"{name} again"] = arrays.pop(name)
    else:
        arrays[name] = np.asarray(_array(value, rng))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def damage_safetensors(content, rng):
    """Return a safetensors file with a change of its header."""
    try:
        (size,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + size])
    except (struct.error, ValueError):
        return damage_bytes(content, rng)
    if not isinstance(header, dict) or rng.random() < 0.1:
        return damage_bytes(content, rng)
    body = content[8 + size :]
    if rng.random() < 0.4:
        body = _retype(header, body, rng)
    else:
        header = damage_tree(header, rng)
    text = json.dumps(header).encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(text)) + text + body


def _retype(header, body, rng):
    """Give one tensor another type or shape; returns the data, which has as many numbers."""
    which = rng.choice(list(header))
    sizes = {"F64": 8, "F16": 2, "BF16": 2, "I32": 4, "I64": 8, "BOOL": 1, "F8_E4M3": 1, "C64": 8}
    data = b""
    for name, entry in header.items():
        try:
            start, end = entry["data_offsets"]
            part = body[start:end]
            if name == which:
                entry["dtype"] = rng.choice(list(sizes))
                part = (part * 2)[: sizes[entry["dtype"]] * len(part) // 4]
                if rng.random() < 0.3:
                    rng.shuffle(entry["shape"])
        except (KeyError, TypeError, ValueError):  # damaged before
            continue
        entry["data_offsets"] = [len(data), len(data) + len(part)]
        data += part
    return data
