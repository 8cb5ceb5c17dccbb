"""Packages that only some work needs: the extras of the installation."""

from __future__ import annotations

from importlib.util import find_spec

from deepcpg_tf.errors import MissingPackageError


def require(*packages: str, extra: str) -> None:
    """Make sure of packages before work begins that needs them.

    Parameters
    ----------
    *packages
        Their names as they are imported.
    extra
        The extra that brings them.

    Raises
    ------
    MissingPackageError
        When one is not there; the message says what to install.
    """
    for package in packages:
        if not _is_there(package):
            raise MissingPackageError(
                f"expected the package {package}, found none: pip install 'deepcpg-tf[{extra}]'"
            )


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # of a module that was set to None
        return False
