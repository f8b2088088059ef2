"""One measurement of one client, in a process of its own: ``worker.py MODULE OPERATION URL`` prints a number.

Processor time is user and system time of this process, all threads included. The server runs elsewhere.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

from clients import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from clients import Client

CALLS = 300
DELTAS = 2000
STREAMS, PACED = 1000, 20
IMPORTS = 7


async def chat(client: Client) -> float:
    """Microseconds of processor time for a call, one after another on a warm connection."""
    for _ in range(20):
        await client.chat("chat")
    start = time.process_time()
    for _ in range(CALLS):
        assert (await client.chat("chat")).startswith("The quick")
    return (time.process_time() - start) / CALLS * 1e6


async def stream(client: Client) -> float:
    """Microseconds of processor time for a delta of a stream that arrives as fast as it's read."""
    await _read(client, "deltas-50", 50)
    start = time.process_time()
    await _read(client, f"deltas-{DELTAS}", DELTAS)
    return (time.process_time() - start) / DELTAS * 1e6


async def hold(client: Client) -> float:
    """Microseconds of processor time for a delta, with a thousand open streams that each get a delta every 100 ms."""
    await _read(client, "deltas-50", 50)
    start = time.process_time()
    await asyncio.gather(*(_read(client, f"paced-{PACED}", PACED) for _ in range(STREAMS)))
    return (time.process_time() - start) / (STREAMS * PACED) * 1e6


async def _read(client: Client, model: str, count: int) -> None:
    received = 0
    async for _ in client.stream(model):
        received += 1
    assert received == count, f"{received} deltas of {count}"


def import_time(module: str) -> float:
    """Milliseconds of processor time to import a client in a new Python, minus the time of Python itself."""

    def run(code: str) -> float:
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime

    run(f"import {module}")  # compiles it
    return median(run(f"import {module}") - run("pass") for _ in range(IMPORTS)) * 1e3


OPERATIONS: dict[str, Callable[[Client], Awaitable[float]]] = {"chat": chat, "stream": stream, "hold": hold}


def main() -> None:
    """Measure, and print one number."""
    module, operation, url = sys.argv[1:]
    if operation == "import":
        print(import_time(module))
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))

    async def measure() -> float:
        return await OPERATIONS[operation](CLIENTS[module](url))

    print(asyncio.run(measure()))


if __name__ == "__main__":
    main()
