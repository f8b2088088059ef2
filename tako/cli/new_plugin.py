"""``tako new-plugin``: write a distribution with a provider, and tests that pass."""

from __future__ import annotations

import json
import keyword
import os
import re
import shutil
import sys
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import tako
from tako.cli.arguments import UsageError
from tako.cli.session import print_json
from tako.discovery import provider_entries
from tako.hookspecs import VERSION

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_LENGTH = 40
TAKEN = {"core", "plugin", "provider"}
"""Names that would clash with tako's own distributions, or that aren't specific."""

STEPS = {
    "json": """\
1. Set `BASE_URL` in `$package/__init__.py`.
2. Change `$package/wire.py` to the vendor's API.
3. Change `tako_capabilities` to what the models can do.""",
    "completions": """\
1. Set `base_url` and `key_header` in `$package/__init__.py`.
2. Set `dialect` and `codes` to how the vendor's API differs.
3. Add a `models.toml` next to it, with what the models can do.""",
    "responses": """\
1. Set `base_url` and `key_header` in `$package/__init__.py`.
2. Set `dialect` to what the models support, and `codes` to the vendor's own error codes.
3. Add a `models.toml` next to it, with what the models can do.""",
    "process": """\
1. Set `command` in `$package/__init__.py`.
2. Change `$package/wire.py` to what your program reads and writes.
3. Change `tako_capabilities` to what the models can do.""",
}
"""What an author does first, for each kind of scaffold."""
PARTS = {
    "json": ("every", "json"),
    "ndjson": ("every", "json"),
    "completions": ("every", "completions"),
    "responses": ("every", "responses"),
    "process": ("every", "json", "process"),
}
"""The folders of each scaffold; a file in a later folder replaces the same file in an earlier one."""
OVER_HTTP = {
    "wire": "JSON to ``/chat``, and JSON or Server-Sent Events back",
    "lines": "",
    "event": r'b"data: " + msgspec.json.encode(value) + b"\n\n"',
    "bytes": "",
    "stream": "Server-Sent Events",
    "traits": "",
    "extra": "[http]",
    "and_transport": ", and its transport",
}
IN_LINES = OVER_HTTP | {
    "wire": "JSON to ``/chat``, and one document or lines of JSON back",
    "lines": "\n    lines = True  # of JSON; else Server-Sent Events\n",
    "event": r'msgspec.json.encode(value) + b"\n"',
    "stream": "lines of JSON",
    "traits": '    content_type = "application/x-ndjson"\n',
}
OVER_PIPES = IN_LINES | {
    "wire": "one line of JSON to the program, and one document or lines of JSON back",
    "bytes": ', "bytes"',
    "traits": "    http = False\n",
    "extra": "",
    "and_transport": "",
}
"""What differs in the files that several kinds have."""


def run(options: Namespace) -> int:
    """Run the command. It writes either all files or none."""
    names = names_for(options.name, options.class_name)
    root = Path(os.path.expanduser(options.into)) / names["distribution"]  # noqa: PTH111 - Path's raises for an unknown user
    names["sources"] = uv_sources(root)
    kind = scaffold_kind(options)
    names |= {"process": OVER_PIPES, "ndjson": IN_LINES}.get(kind, OVER_HTTP)
    names["steps"] = Template(STEPS["json" if kind == "ndjson" else kind]).substitute(names)
    texts = {path: render(text, names) for path, text in templates(kind, names)}
    write_files(root, texts)
    if options.json:
        print_json({"folder": str(root), "files": sorted(texts)})
        return 0
    lines = [f"{root} is ready:", *(f"  {path}" for path in sorted(texts)), ""]
    lines += [
        "Next:",
        f"  cd {root}",
        "  uv run pytest",
        "  uv run mypy",
        f"  then adapt {names['package']}/ to your vendor (see README.md)",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def scaffold_kind(options: Namespace) -> str:
    """Return the kind of scaffold. Raises UsageError if the dialect needs HTTP."""
    if options.transport == "http":
        return str(options.dialect)
    if options.dialect != "json":
        raise UsageError(
            f"--dialect {options.dialect} needs --transport http; with --transport process, leave out --dialect"
        )
    return "process"


def names_for(name: str, class_name: str | None = None) -> dict[str, str]:
    """Return the names that go into the templates. Raises UsageError if a name isn't valid."""
    if not NAME.fullmatch(name) or len(name) > MAX_LENGTH:
        hint = _similar_name(name)
        rule = "lower-case letters, digits and single dashes, a letter first"
        raise UsageError(f"{name!r} isn't a valid provider name: {rule}{f'; try {hint!r}' if hint else ''}")
    if name.startswith("tako-"):
        raise UsageError(f"{name!r} isn't a valid provider name; leave out the tako-, which the command adds")
    if name in TAKEN:
        raise UsageError(f"{name!r} isn't a valid provider name, because tako uses it; choose another one")
    owner = next((entry for entry in provider_entries() if entry.name == name), None)
    if owner is not None:
        raise UsageError(f"the provider {name!r} already exists: {owner.distribution} {owner.version}")
    cls = class_name or "".join(part[:1].upper() + part[1:] for part in name.split("-"))
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", cls) or keyword.iskeyword(cls):
        raise UsageError(f"{cls!r} isn't a valid class name; try --class AcmeAI")
    return {
        "name": name,
        "cls": cls,
        "distribution": f"tako-{name}",
        "package": f"tako_{name.replace('-', '_')}",
        "variable": f"{name.replace('-', '_').upper()}_API_KEY",
        "hooks": str(VERSION),
        "core": ".".join(tako.__version__.split(".")[:2]),
    }


def uv_sources(root: Path) -> str:
    """Return the section that tells uv where tako-core is, if it's installed from a folder such as a clone."""
    facts: dict[str, Any] = json.loads(distribution("tako-core").read_text("direct_url.json") or "{}")
    if "dir_info" not in facts:
        return ""
    url: str = facts["url"]
    folder, root = Path(url2pathname(urlsplit(url).path)).resolve(), root.resolve()
    path = Path(os.path.relpath(folder, root)) if folder in root.parents else folder
    toml_path = json.dumps(path.as_posix())  # JSON writes a string as TOML does
    return (
        f"\n[tool.uv.sources]\ntako-core = {{ path = {toml_path}, editable = true }} # remove this to use the index's\n"
    )


def templates(kind: str, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each file's path in the distribution and its template."""
    scaffold = files("tako.cli") / "scaffold"
    for part in PARTS[kind]:
        for path, text in _walk(scaffold / part, ""):
            yield path.replace("PACKAGE", names["package"]), text


def render(text: str, names: dict[str, str]) -> str:
    """Fill in a template."""
    clash = re.search(rf"^from \S+ import .*\b{names['cls']}\b", text, re.MULTILINE)
    if clash is not None:
        raise UsageError(
            f"the class can't be called {names['cls']}, which its module imports; choose another name with --class"
        )
    return Template(text).substitute(names)


def write_files(root: Path, texts: dict[str, str]) -> None:
    """Write all files into a new folder. If that fails, the folder is deleted again."""
    try:
        root.mkdir()
    except FileExistsError:
        raise UsageError(f"{root} already exists; nothing was written") from None
    except OSError as error:
        raise UsageError(f"{root} can't be created: {error.strerror or error}") from error
    try:
        for place, text in texts.items():
            path = root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        shutil.rmtree(root, ignore_errors=True)
        raise UsageError(f"{root} can't be written: {error.strerror or error}") from error


def _walk(folder: Traversable, parent: str) -> Iterator[tuple[str, str]]:
    """Yield all templates below a folder. They end with ``.in`` so that tools don't treat them as code."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _walk(item, f"{parent}{item.name}/")
        elif item.name.endswith(".in"):
            yield parent + item.name.removesuffix(".in"), item.read_text(encoding="utf-8")


def _similar_name(name: str) -> str:
    """Return the most similar valid name, or ""."""
    name_part = (
        re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:MAX_LENGTH].strip("-").removeprefix("tako-")
    )
    return name_part if NAME.fullmatch(name_part) else ""
