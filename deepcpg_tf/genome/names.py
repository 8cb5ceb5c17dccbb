"""When two names mean the same chromosome: the one rule of the library.

A name may have ``chr`` in front or not, and the mitochondrion is M or MT. Nothing else
is the same; upper and lower case differ.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from deepcpg_tf.errors import GenomeError

_MITOCHONDRION = ("M", "MT")
_SHOWN = 60  # letters of a name


def common_name(name: str) -> str:
    """Return what all names of a chromosome share: ``1`` of ``chr1``, ``M`` of ``chrMT``."""
    bare = _without_chr(name)
    return _MITOCHONDRION[0] if bare in _MITOCHONDRION else bare


def find_name(name: str, known: Container[str]) -> str | None:
    """Return the known name of a chromosome, or None where there is none.

    Parameters
    ----------
    name
        The name as it was given. Where it is known as it is, that is the answer.
    known
        Names of the chromosomes there are.

    Raises
    ------
    GenomeError
        When several known names mean the same, none of them exactly the one given.
    """
    if name in known:
        return name
    common = common_name(name)
    stems = _MITOCHONDRION if common in _MITOCHONDRION else (common,)
    spellings = [spelling for stem in stems for spelling in (stem, f"chr{stem}")]
    # Only one chr counts: chrchr1 is not chr1.
    found = [name for name in spellings if name in known and common_name(name) == common]
    if len(found) > 1:
        raise GenomeError(
            f"chromosome {name!r}: expected a name that means one chromosome, received one "
            f"that may mean {' or '.join(found)}"
        )
    return found[0] if found else None


def names_without_chr(names: Sequence[str]) -> list[str]:
    """Return names without ``chr``, but for those that another name would then equal."""
    taken = set(names)
    return [
        name if name != (bare := _without_chr(name)) and bare in taken else bare for name in names
    ]


def natural_order(name: str) -> tuple[bool, int, str]:
    """Return a key to sort by: numbers first, in their order, then the others by letter."""
    bare = _without_chr(name)
    return (not bare.isdecimal(), int(bare) if bare.isdecimal() else 0, bare)


def shown_names(names: Sequence[str], most: int = 5) -> str:
    """Return names for an error message: the first of them, and how many there are."""
    shown = ", ".join(map(_cut, names[:most]))
    return shown + (f", … ({len(names)} in all)" if len(names) > most else "")


def _cut(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"


def _without_chr(name: str) -> str:
    return name.removeprefix("chr")
