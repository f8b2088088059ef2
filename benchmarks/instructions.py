"""Count the instructions of a call and of a chunk with valgrind's callgrind. A busy machine doesn't change them.

    uv run --group dev python benchmarks/instructions.py                       # this checkout
    uv run --group dev python benchmarks/instructions.py ../other/.venv/bin/python  # another environment

It takes some minutes. The server runs in this process, the client under valgrind; an operation's instructions are the
difference between a run with a few and a run with more of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from counts import WIRES, serving

CLIENT = """
import asyncio, sys
import tako

operation, url, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
provider = tako.providers.OpenAI("m", api_key="k", base_url=url, max_retries=0)
request = tako.ChatRequest([tako.Message.system("Be terse."), tako.Message.user("Write about octopuses.")])

async def main():
    for _ in range(times):
        if operation == "chat":
            await provider.chat(request)
        else:
            async for _ in provider.stream(request):
                pass
    await provider.aclose()

if operation == "blocking chat":
    for _ in range(times):
        provider.blocking.chat(request)
else:
    asyncio.run(main())
"""
OPERATIONS = {"chat": 1, "blocking chat": 1, "stream of 53 events": 1}
FEW, MORE = 10, 60


def count(python: str, operation: str, url: str, times: int) -> int:
    """Return the instructions of a program that repeats an operation ``times`` times."""
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    result = subprocess.run(
        [*valgrind, python, "-P", "-c", CLIENT, operation, url, str(times)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    match = re.search(r"Collected : (\d+)", result.stderr)
    if match is None:
        raise SystemExit(result.stderr)
    return int(match[1])


def main() -> None:
    """Print the table."""
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    print(f"{Path(python)}\n\n| | thousand instructions |\n|---|---|")
    with serving(WIRES["completions"]) as (_, url):
        for operation in OPERATIONS:
            few, more = (count(python, operation, url, times) for times in (FEW, MORE))
            print(f"| {operation} | {(more - few) / (MORE - FEW) / 1000:.0f} |", flush=True)


if __name__ == "__main__":
    main()
