import io
import zipfile

import numpy as np
import pytest

from deepcpg_tf.npz import read_npz


def packed(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


WHOLE = packed(a=np.arange(3), b=np.array("text"))


def with_byte(place, value):
    return WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :]


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def test_a_whole_file(tmp_path):
    (tmp_path / "x.npz").write_bytes(WHOLE)
    arrays = read_npz(tmp_path / "x.npz")
    assert [*arrays] == ["a", "b"]
    assert arrays["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b"text\n",
        WHOLE[:-30],
        WHOLE[:80],
        with_byte(WHOLE.index(b"PK\x01\x02") + 6, 200),  # of another version
        with_byte(WHOLE.index(b"PK\x01\x02") + 8, 1),  # encrypted
        with_byte(WHOLE.index(b"PK\x01\x02") + 10, 8),  # packed
        with_byte(WHOLE.index(b"PK\x01\x02") + 10, 77),
        with_byte(170, 9),  # among the numbers
        npy(np.arange(3)),
        packed(a=np.array({"an": "object"}, object)),
        zipped(a=npy(np.arange(3)).replace(b"(3,)", b"(3.)")),
        zipped(a=npy(np.arange(3)).replace(b"(3,), }  ", b"(3,((), }")),
        zipped(a=npy(np.arange(3)).replace(b"(3,), }" + b" " * 15, b"(1000000000000000,), }")),
        zipped(a=b""),
        zipped(a=b"text"),
    ],
    ids=range(17),
)
def test_what_is_none(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"\S") as error:
        read_npz(tmp_path / "x.npz")
    assert len(str(error.value).splitlines()) == 1


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "x.npz")
