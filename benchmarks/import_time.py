"""How long does `import vpbench` take, beyond starting Python?

Starts Python with and without the import, in turn, and prints medians in milliseconds.

    python benchmarks/import_time.py --times 21
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time


def seconds(code: str) -> float:
    """Wall-clock time of one Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=21)
    times = parser.parse_args().times
    bare, light = [], []
    for _ in range(times):
        bare.append(seconds("pass"))
        light.append(seconds("import vpbench"))
    extra = [b - a for a, b in zip(bare, light, strict=True)]
    print(f"python: {1000 * statistics.median(bare):.1f} ms")
    print(f"import vpbench: {1000 * statistics.median(light):.1f} ms")
    print(f"difference: {1000 * statistics.median(extra):.1f} ms")


if __name__ == "__main__":
    main()
