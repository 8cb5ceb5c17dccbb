"""Every cell has a column, a file or a group of its own."""

import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepcpg_tf.errors import OutputError
from deepcpg_tf.results.contents import Contents, Kind
from deepcpg_tf.results.names import file_names
from deepcpg_tf.results.registry import FORMATS, check_result

TABLES = (".parquet", ".tsv", ".tsv.gz")


def check(path, cells, kind=Kind.PREDICTED):
    check_result(path, Contents(tuple(cells), ("1",), (1000,), kind))


@pytest.mark.parametrize("ending", TABLES)
@pytest.mark.parametrize(
    ("kind", "cells", "message"),
    [
        (
            Kind.PREDICTED,
            ["chromosome"],
            "'chromosome' both for the sites and for cell 'chromosome'",
        ),
        (
            Kind.PREDICTED,
            ["a", "position"],
            "'position' both for the sites and for cell 'position'",
        ),
        (Kind.IMPUTED, ["x", "x_observed"], "'x_observed' both for cell 'x' and for cell 'x_obs"),
        (
            Kind.IMPUTED,
            ["x_observed", "x"],
            "'x_observed' both for cell 'x_observed' and for cell 'x",
        ),
    ],
)
def test_two_columns_of_one_name(tmp_path, ending, kind, cells, message):
    path = tmp_path / f"a{ending}"
    with pytest.raises(OutputError, match=message) as error:
        check(path, cells, kind)
    assert str(error.value).startswith(f"{path}: ")


def test_such_names_are_no_fault_elsewhere(tmp_path):
    for ending in (*TABLES, ".h5ad", ".h5", ".bigwig", ".bedgraph"):
        check(tmp_path / f"a{ending}", ["x", "x_observed", "x_label"])
    for ending in (".h5ad", ".h5", ".bigwig", ".bedgraph"):
        check(tmp_path / f"a{ending}", ["x", "x_observed", "position"], Kind.IMPUTED)


@pytest.mark.parametrize(
    ("cells", "both"),
    [
        (["a", "a/b"], "received 'a' and 'a/b'$"),
        (["a/b/c", "a"], "received 'a' and 'a/b/c'$"),
        (["a/b", "a//b"], "received 'a/b' and 'a//b'$"),
        (["a", "./a"], "received 'a' and './a'$"),
        (["/a", "a"], "received '/a' and 'a'$"),
        (["a", ""], "expected cells that can be names in HDF5, received ''$"),
        (["a", "."], "expected cells that can be names in HDF5, received '.'$"),
        (["a\0b"], "expected cells that can be names in HDF5, received "),
    ],
)
def test_two_groups_of_one_name(tmp_path, cells, both):
    with pytest.raises(OutputError, match=both):
        check(tmp_path / "a.h5", cells)
    check(tmp_path / "a.bigwig", cells)


def test_groups_that_are_apart(tmp_path):
    check(tmp_path / "a.h5", ["a/b", "a/c", "ab", "a b", "..", "b"])


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["BS27_1_SER", "c d", "ü", "1-2.3", "a+b"], ["BS27_1_SER", "c d", "ü", "1-2.3", "a+b"]),
        (["a/b", "a_b", "a%2Fb"], ["a%2Fb", "a_b", "a%252Fb"]),
        (["..", ".", "", ".x"], ["%2E.", "%2E", "%", "%2Ex"]),
        (["Ca1", "CA1", "x"], ["%43a1", "%43%411", "x"]),
        (["ß", "ss", "SS"], ["%C3%9F", "ss", "%53%53"]),
        (["e\u0301", "\u00e9"], ["e%CC%81", "%C3%A9"]),
        (["a\nb\0", "\x7f"], ["a%0Ab%00", "%7F"]),
        (["\ud800"], ["%ED%A0%80"]),
    ],
)
def test_names_of_files(cells, names):
    assert file_names(cells, ".bw") == [f"{name}.bw" for name in names]


def test_long_names_of_files(tmp_path):
    cells = ["ä" * 200 + "1", "ä" * 200 + "2", "a" * 252, "a" * 253, "/" * 100]
    names = file_names(cells, ".bw")
    assert len(set(names)) == 5
    assert names[2] == "a" * 252 + ".bw"
    assert all("%~" in names[i] for i in (0, 1, 3, 4))
    for name in names:
        assert len(name.encode()) <= 255
        (tmp_path / name).write_text("")  # that the file system takes it


NAMES = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.text("aAbB/%.~_Kkß\u212a2Ff", max_size=6),
        st.text("a/Ä", min_size=80, max_size=300),
    ),
    max_size=6,
    unique=True,
)


@given(NAMES)
def test_no_two_cells_share_a_file(tmp_path_factory, cells):
    names = file_names(cells, ".bedGraph.gz")
    apart = {
        unicodedata.normalize("NFC", unicodedata.normalize("NFC", n).casefold()) for n in names
    }
    assert len(apart) == len(cells)
    for cell, name in zip(cells, names, strict=True):
        assert len(name.encode()) <= 255
        assert "/" not in name
        assert "\0" not in name
        assert not name.startswith(".")
        stem = name.removesuffix(".bedGraph.gz")
        if cell and "%~" not in stem:
            assert unquote(stem, errors="surrogatepass") == cell


def test_every_ending_is_another():
    endings = [one.ending for one in FORMATS]
    assert len(set(endings)) == len(endings)
    for one in endings:
        assert [other for other in endings if f"a{one}".endswith(other)] == [one]
