"""Recorded replies through providers that are only files: ``python replay.py [FOLDER]``.

FOLDER holds ``corpus/`` and ``replay/replay.py``; by default it is ``shared`` next to the repository. The harness there
serves each recording and compares; here its providers are replaced by the examples that this package ships. Exit status
0 where at least 95 of 100 exchanges agree, or where there are no recordings.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from tako_http_generic import EXAMPLES, HttpGeneric

FOLDER = Path(__file__).resolve().parents[4] / "shared"
PLACES = {
    "openai": ("openai.toml", "/v1/chat/completions"),
    "openai_compat": ("openai.toml", "/v1/chat/completions"),
    "anthropic": ("anthropic.toml", "/v1/messages"),
    "ollama": ("ollama.toml", "/api/chat"),
}
ENOUGH = "0.95"


def provider_for(row: Any, base: str) -> HttpGeneric:
    """Return the example for a recording, pointed at the harness."""
    name, path = PLACES[row["provider"]]
    body = row["request_body"]
    model = (body.get("model") if isinstance(body, dict) else None) or "m"
    return HttpGeneric.from_file(EXAMPLES / name, model, url=base + path, max_retries=0)


def main() -> int:
    """Run the harness over the four samples."""
    arguments = sys.argv[1:]
    folder = Path(arguments.pop(0)) if arguments and not arguments[0].startswith("-") else FOLDER
    script = folder / "replay" / "replay.py"
    if not script.is_file() or not (folder / "corpus").is_dir():
        sys.stdout.write(f"no recordings in {folder}\n")
        return 0
    spec = importlib.util.spec_from_file_location("replay_harness", script)
    assert spec is not None
    assert spec.loader is not None
    harness = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(harness)
    harness.provider_for = provider_for  # type: ignore[attr-defined]  # the harness is a script
    os.environ.update(OPENAI_API_KEY="test", ANTHROPIC_API_KEY="test")
    sys.argv = ["replay.py", str(folder / "corpus"), "--only", ",".join(PLACES), "--min", ENOUGH, *arguments]
    return int(asyncio.run(harness.main()))


if __name__ == "__main__":
    sys.exit(main())
