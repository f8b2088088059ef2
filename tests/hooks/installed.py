"""Installed distributions, made in a folder on the module search path, and programs that see them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from tako.testing.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

OURS = "cache,otel,prices,record,llamacpp"
PROVIDER = """
    from tako import Capabilities, ChatResponse, Message, Provider, hookimpl

    class {cls}(Provider):
        name = "{name}"

    @hookimpl
    def tako_capabilities(provider):
        return Capabilities()

    @hookimpl
    def tako_chat(provider):
        async def chat(request):
            return ChatResponse(Message.assistant("{name} answers"))
        return chat
"""
SHOUT = """
    from msgspec.structs import replace
    from tako import Message, hookimpl

    @hookimpl(wrapper=True)
    def tako_chat(provider):
        inner = yield
        async def chat(request):
            response = await inner(request)
            return replace(response, message=Message.assistant(response.text + "!"))
        return chat
"""
ASK = """
    import tako

    def ask(id):
        try:
            return tako.get_provider(id).blocking.chat("hi").text
        except tako.TakoError as error:
            return f"{type(error).__name__}: {error}"
"""


def distribution(
    folder: Path, name: str, files: dict[str, str], points: str | bytes, *, metadata: str | bytes | None = ""
) -> Path:
    """Write a distribution as an installer would; ``metadata`` takes the place of its METADATA, None leaves it out."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    for path, code in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(textwrap.dedent(code))
    if metadata is not None:
        text = metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        (info / "METADATA").write_bytes(text if isinstance(text, bytes) else text.encode())
    (info / "entry_points.txt").write_bytes(points if isinstance(points, bytes) else textwrap.dedent(points).encode())
    return folder


def provider(folder: Path, name: str = "good", cls: str = "Good", code: str = PROVIDER) -> Path:
    """Write a provider as a distribution ``tako-NAME`` with the module ``tako_NAME``."""
    code = code.format(cls=cls, name=name) if code is PROVIDER else code
    return distribution(
        folder, f"tako-{name}", {f"tako_{name}.py": code}, f"[tako.providers]\n{name} = tako_{name}:{cls}\n"
    )


def general(folder: Path, name: str, code: str) -> Path:
    """Write a general plugin as a distribution ``tako-NAME`` with the module ``tako_NAME``."""
    return distribution(folder, f"tako-{name}", {f"tako_{name}.py": code}, f"[tako.plugins]\n{name} = tako_{name}\n")


def program(folder: Path, *code: str, **env: str) -> Any:
    """Run a program that sees the folder; its ``result`` is returned."""
    parts = ["import json, sys, warnings\nwarnings.simplefilter('ignore')\nresult = {}", *map(textwrap.dedent, code)]
    parts.append("sys.stdout.write('\\n' + json.dumps(result))")
    done = _run([sys.executable, "-c", "\n".join(parts)], folder, env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def command(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the ``tako`` command, which sees the folder."""
    return _run([sys.executable, "-m", "tako.cli", *arguments], folder, env)


def rows(folder: Path, **env: str) -> dict[str, dict[str, Any]]:
    """Return what ``tako providers`` lists, by name."""
    return {row["name"]: row for row in json.loads(command(folder, "providers", "--json", **env).stdout)}


def _run(arguments: list[str], folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    outer = {name: text for name, text in os.environ.items() if not name.startswith("TAKO_")}
    env = {**outer, "PYTHONPATH": str(folder), "TAKO_DISABLE_PLUGINS": OURS, **env}
    return subprocess.run(arguments, capture_output=True, text=True, check=False, env=env, timeout=PATIENCE)
