"""How a command ends that is told to stop: by a batch system, a lost connection, or Ctrl-C.

An exit is raised wherever Python is at, so that what is half-written is removed on the way
out. A library in C that has called Python may make another error of it, or lose it.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

PATIENCE = 10.0
"""Seconds after which an exit that got lost is raised again."""

_QUIET = (signal.SIGTERM, signal.SIGHUP)

_received: list[int] = []


def listen() -> None:
    """Have signals end the command; what is ignored, as SIGHUP under nohup, stays so."""
    for number in (*_QUIET, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def received() -> int | None:
    """Return the signal that the command was told to stop by, if it was."""
    return _received[0] if _received else None


def forget() -> None:
    """Stop waiting for the end: it has come."""
    if _received:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _stop(number: int, frame: FrameType | None) -> None:
    if not _received:
        _received.append(number)
        if number in _QUIET:
            _silence_stderr()
            signal.signal(signal.SIGALRM, _raise_if_lost)
            signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE)
    _raise(number, frame)


def _raise(number: int, frame: FrameType | None) -> None:
    if _received[0] == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + _received[0])


def _raise_if_lost(number: int, frame: FrameType | None) -> None:
    if not isinstance(sys.exc_info()[1], SystemExit):  # else what is on its way out cleans up
        _raise(number, frame)


def _silence_stderr() -> None:
    """Keep libraries from telling at length how they were interrupted."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
