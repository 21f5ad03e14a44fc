"""What `import kibitz` costs, over bare Python.

    python -m benchmarks.import_time --json [--quick]

Fresh interpreters, bare and with the import, take turns; the medians of their wall times are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

SERVER_SIDE = ("kibitz.server", "kibitz.storage", "kibitz.client", "litestar", "granian", "jinja2")
LATE = ("sqlite3", "urllib3", "zstandard")
"""What only `kibitz.init()` loads."""


def measure(rounds: int) -> dict[str, object]:
    """Medians in milliseconds, and which modules of the server side the import loads."""
    bare: list[float] = []
    imported: list[float] = []
    for _ in range(rounds):
        bare.append(_run("pass"))
        imported.append(_run("import kibitz"))
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, kibitz; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    python_ms, with_kibitz_ms = statistics.median(bare), statistics.median(imported)
    return {
        "python_ms": round(python_ms, 2),
        "with_kibitz_ms": round(with_kibitz_ms, 2),
        "kibitz_ms": round(with_kibitz_ms - python_ms, 2),
        "server_modules": [name for name in loaded if name.startswith(SERVER_SIDE)],
        "late_modules": [name for name in loaded if name.partition(".")[0] in LATE],
        "rounds": rounds,
    }


def _run(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    result = measure(7 if options.quick else 41)
    if options.json:
        print(json.dumps(result))
    else:
        print(f"import kibitz: {result['kibitz_ms']} ms over Python's {result['python_ms']} ms")


if __name__ == "__main__":
    main()
