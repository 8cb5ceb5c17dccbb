import re

import pytest

from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles.read import read_profile
from tests.conftest import DATA
from tests.profiles.texts import refusal

MINI = DATA / "genome" / "mini.fa"


@pytest.fixture(scope="module")
def mini():
    return Genome(MINI)


def sequences():
    records = MINI.read_text().upper().split(">")[1:]
    parts = (record.partition("\n") for record in records)
    return {name: letters.replace("\n", "") for name, _, letters in parts}


def cytosines(strands="+-"):
    """Return chromosome, 0-based position and strand of the cytosines of all CpGs of mini.fa."""
    found = []
    for name, letters in sequences().items():
        for match in re.finditer("CG", letters):
            found += [(name, match.start() + (strand == "-"), strand) for strand in strands]
    return found


FORMS = {
    "deepcpg": "{0}\t{1}\t1\n",
    "bedgraph": "{0}\t{1}\t{2}\t100\n",
    "cov": "{0}\t{1}\t{1}\t100\t1\t0\n",
    "ranged cov": "{0}\t{1}\t{2}\t100\t1\t0\n",
    "report": "{0}\t{1}\t{3}\t1\t0\tCG\tCGN\n",
    "allc": "{0}\t{1}\t{3}\tCGN\t1\t1\t1\n",
    "bedmethyl": "{0}\t{1}\t{2}\t.\t0\t{3}\t0\t0\t0\t1\t100\n",
}


def file_of(sites, form, base):
    return "".join(FORMS[form].format(name, p + base, p + base + 1, s) for name, p, s in sites)


@pytest.mark.parametrize(
    ("form", "base", "format_", "remedy"),
    [
        ("deepcpg", 0, None, "add 1 to its positions"),
        ("deepcpg", 2, None, "subtract 1 from its positions"),
        ("bedgraph", 1, None, "read it with the format legacy-bedgraph"),
        ("bedgraph", 1, "bedgraph", "read it with the format legacy-bedgraph"),
        ("bedgraph", -1, None, "add 1 to its positions"),
        ("bedgraph", 0, "legacy-bedgraph", "read it with the format bedgraph"),
        ("cov", 0, None, "add 1 to its positions"),
        ("cov", 2, None, "subtract 1 from its positions"),
        ("ranged cov", 0, None, "read it with the format bismark-zero-cov"),
        ("ranged cov", 1, "bismark-zero-cov", "read it with the format bismark-cov"),
        ("report", 0, None, "add 1 to its positions"),
        ("report", 2, None, "subtract 1 from its positions"),
        ("allc", 0, None, "add 1 to its positions"),
        ("bedmethyl", 1, None, "subtract 1 from its positions"),
    ],
)
@pytest.mark.parametrize("strands", ["+", "+-"])
def test_files_a_base_off(tmp_path, mini, form, base, format_, remedy, strands):
    sites = cytosines(strands)
    received = refusal(tmp_path / "cell", file_of(sites, form, base), mini, format=format_)
    assert received.startswith(f": expected sites on a CG of the reference, received {len(sites)} ")
    assert received.endswith(f": {remedy}")


@pytest.mark.parametrize(("form", "base"), [("allc", 1), ("report", 1), ("bedmethyl", 0)])
@pytest.mark.parametrize("share", [1, 2])
def test_strands_exchanged(tmp_path, mini, form, base, share):
    exchanged = {"+": "-", "-": "+"}
    calls = [(name, p, exchanged[strand]) for name, p, strand in cytosines()]
    # Every second line of one of the strands is as good.
    calls = [call for i, call in enumerate(calls) if i % 2 or i % (2 * share) == 0]
    received = refusal(tmp_path / "cell", file_of(calls, form, base), mini)
    assert received.startswith(f": expected sites on a CG of the reference, received {len(calls)} ")
    assert received.endswith(
        ": its strands are exchanged: its C are marked - and its G +; exchange + and - in its "
        "column of strands"
    )


def test_a_few_sites_a_base_off(tmp_path, mini):
    text = file_of(cytosines("+")[:2], "ranged cov", 0)
    assert refusal(tmp_path / "cell", text, mini) == (
        ": expected sites on a CG of the reference, received 2 as bismark-cov with 0 at offset 0, "
        "0 at -1, 2 at +1: read it with the format bismark-zero-cov"
    )


@pytest.mark.parametrize(
    ("form", "base", "format_"),
    [
        ("deepcpg", 1, None),
        ("bedgraph", 0, None),
        ("bedgraph", 1, "legacy-bedgraph"),
        ("cov", 1, None),
        ("ranged cov", 1, None),
        ("ranged cov", 0, "bismark-zero-cov"),
        ("report", 1, None),
        ("allc", 1, None),
        ("bedmethyl", 0, None),
    ],
)
@pytest.mark.parametrize("sites", ["forward", "both", "mostly reverse", "noisy"])
def test_files_in_place(tmp_path, mini, form, base, format_, sites):
    calls = cytosines("+" if sites == "forward" else "+-")
    cpgs = len(cytosines("+"))
    if sites == "mostly reverse":
        calls = [call for i, call in enumerate(calls) if call[2] == "-" or i % 20 == 0]
    if sites == "noisy":
        # As many again that are no CpG, as in a file of all cytosines.
        calls += [
            (name, match.start(), "+" if match[0] == "C" else "-")
            for name, letters in sequences().items()
            for match in [*re.finditer("[CG]", letters)][::3]
        ]
        order = list(mini.lengths)
        calls = sorted(
            {call[:2]: call for call in reversed(calls)}.values(),
            key=lambda call: (order.index(call[0]), call[1]),
        )
    path = tmp_path / "cell"
    path.write_text(file_of(calls, form, base))
    profile = read_profile(path, mini, format=format_)
    assert profile.account.kept == cpgs == sum(len(x.positions) for x in profile.sites.values())


def test_reverse_calls_only(tmp_path, mini):
    calls = cytosines("-")
    path = tmp_path / "cell"
    path.write_text(file_of(calls, "allc", 1))
    # A strand that is told is believed.
    assert read_profile(path, mini).account.kept == len(calls)
    # Without, they look like a file that is a base off, if they are not very few.
    message = refusal(path, file_of(calls[:5], "cov", 1), mini)
    assert message.endswith("subtract 1 from its positions")
    path.write_text(file_of(calls[:4], "cov", 1))
    assert read_profile(path, mini).account.kept == 4
