"""Run a command; print its seconds and the peak of its memory in bytes, as JSON.

A process of its own, and a small one: what starts a command counts as the least
memory that the command ever had.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time


def main() -> None:
    """Run the command in the arguments; its standard output goes to standard error."""
    start = time.perf_counter()
    subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak * unit}))


if __name__ == "__main__":
    main()
