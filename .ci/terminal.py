"""Draw docs/assets/terminal.svg: real commands, answered by scripted vendors.

``uv run --group dev python .ci/terminal.py`` writes it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from html import escape
from pathlib import Path

from tako.testing.dialects import DIALECTS
from tako.testing.script import Script

PICTURE = Path(__file__).parent.parent / "docs" / "assets" / "terminal.svg"
PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")
COMMANDS = [
    ('tako chat -m openai:gpt-6.2-sol "What is the capital of France?"', "completions", "Paris."),
    (
        'git diff | tako chat -m anthropic:claude-sonnet-4-5 "Write a commit message:"',
        "messages",
        "Retry a request only before its first chunk",
    ),
    (
        'tako chat -m ollama:qwen3-vl --image receipt.png "What did I pay?"',
        "ollama",
        "You paid €12.40, tip included.",
    ),
]
ADDRESSES = {"completions": "OPENAI_BASE_URL", "messages": "ANTHROPIC_BASE_URL", "ollama": "OLLAMA_HOST"}
KEYS = {"OPENAI_API_KEY": "sk-test", "ANTHROPIC_API_KEY": "sk-test", "PYTHONWARNINGS": "ignore"}
WIDTH, LINE, LEFT, TOP = 760, 24, 24, 64


def lines() -> list[tuple[str, str]]:
    """Run the commands, and return each line with its kind."""
    rows: list[tuple[str, str]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "receipt.png").write_bytes(PNG)
        for command, wire, answer in COMMANDS:
            server = stack.enter_context(DIALECTS[wire].serve(Script(text=answer)))
            run = command.replace("git diff", "echo diff").replace("tako ", f"{sys.executable} -m tako.cli ", 1)
            variables = {**os.environ, **KEYS, ADDRESSES[wire]: server.url, "HOME": str(folder)}
            result = subprocess.run(
                ["/bin/bash", "-c", run], cwd=folder, env=variables, capture_output=True, text=True, check=True
            )
            rows.append(("command", command))
            rows += [("answer", line) for line in result.stdout.splitlines()]
            rows.append(("answer", ""))
    return rows[:-1]


def draw(screen: list[tuple[str, str]]) -> str:
    """Return the picture."""
    height = TOP + LINE * len(screen) + 16
    title = "A terminal. " + " ".join(f"{'$ ' if kind == 'command' else ''}{text}" for kind, text in screen if text)
    rows = []
    for i, (kind, text) in enumerate(screen):
        prompt = '<tspan class="prompt">$ </tspan>' if kind == "command" else ""
        rows.append(f'<text x="{LEFT}" y="{TOP + LINE * i}" class="{kind}">{prompt}{escape(text)}</text>')
    dots = "".join(
        f'<circle cx="{26 + 20 * i}" cy="24" r="6" fill="{fill}"/>'
        for i, fill in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    style = (
        "text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}"
        ".command{fill:#e6edf3}.prompt{fill:#4db6ac}.answer{fill:#a5d6ff}"
    )
    body = "\n".join(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n"
        f'<rect width="{WIDTH}" height="{height}" rx="10" fill="#0d1117"/>\n{dots}\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(lines()), encoding="utf-8")
