"""Measure the figures of the README on your machine: ``uv run python benchmarks/compare``.

Clients that aren't installed are skipped with a line. To have them all: ``uv run --with openai --with litellm --with
langchain-openai python benchmarks/compare``. ``--markdown`` prints the tables of docs/benchmarks.md.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from clients import CLIENTS

HERE = Path(__file__).parent
OPERATIONS = {
    "chat": "µs for a call",
    "stream": "µs for a delta",
    "hold": "µs for a delta, 1000 streams open",
    "import": "ms to import",
}
PACKAGES = {"tako": "tako-core", "langchain_openai": "langchain-openai"}
FLOOR = "httpx"


def measure(module: str, operation: str, url: str) -> float | None:
    """Run one measurement; None if the client fails."""
    command = [sys.executable, str(HERE / "worker.py"), module, operation, url]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if result.returncode:
        error = (result.stderr.strip() or "?").splitlines()[-1]
        print(f"{module}: {operation} failed: {error}", file=sys.stderr)
        return None
    return float(result.stdout)


def main() -> None:
    """Measure each client in each round, one after another, and print medians."""
    parser = ArgumentParser(description="Measure the figures of the README on your machine.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each client is measured (5)")
    parser.add_argument(
        "--only", nargs="*", default=list(CLIENTS), choices=CLIENTS, help="clients (all)", metavar="NAME"
    )
    parser.add_argument("--operations", nargs="*", default=list(OPERATIONS), choices=OPERATIONS, help="columns (all)")
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/benchmarks.md")
    options = parser.parse_args()
    installed = [module for module in options.only if find_spec(module) is not None]
    for module in options.only:
        if module not in installed:
            print(f"{module}: skipped, because it isn't installed", file=sys.stderr)
    results: dict[tuple[str, str], list[float]] = {}
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        for round_number in range(options.rounds):
            for operation in options.operations:
                for module in installed:
                    number = measure(module, operation, url)
                    if number is not None:
                        results.setdefault((module, operation), []).append(number)
                        print(f"round {round_number + 1}: {module} {operation}: {number:.1f}", file=sys.stderr)
    except KeyboardInterrupt:
        pass  # show the results so far
    finally:
        server.terminate()
        server.wait()
    show(installed, options.operations, results, markdown=options.markdown)


def show(
    modules: list[str], operations: list[str], results: dict[tuple[str, str], list[float]], *, markdown: bool
) -> None:
    """Print a line for each client: the median of each operation, and how it compares with the floor."""
    rows = [["client", *(OPERATIONS[operation] for operation in operations)]]
    for module in modules:
        row = [f"{module} {version(PACKAGES.get(module, module))}"]
        for operation in operations:
            numbers, floor = results.get((module, operation)), results.get((FLOOR, operation))
            cell = f"{median(numbers):.1f}" if numbers else "failed"
            if numbers and floor and operation != "import":
                cell += f" ({median(numbers) / median(floor):.2f})"
            row.append(cell)
        rows.append(row)
    if markdown:
        rows.insert(1, ["---"] * len(rows[0]))
        print("\n".join(f"| {' | '.join(row)} |" for row in rows))
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
