"""``tako new-plugin``: a whole distribution with a provider in it, and the tests that it passes."""

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
LONGEST = 40
TAKEN = {"core", "plugin", "provider"}
"""Names whose distribution would be tako's own, or that say nothing."""

STEPS = {
    "json": """\
1. Set `BASE_URL` in `$package/__init__.py`.
2. Change `$package/wire.py` to the vendor's wire.
3. Say in `tako_capabilities` what the models can do.""",
    "completions": """\
1. Set `base_url` and `key_header` in `$package/__init__.py`.
2. Say in its `dialect` and its `codes` how the vendor's wire differs.
3. Say in a `models.toml` beside it what the models can do.""",
    "responses": """\
1. Set `base_url` and `key_header` in `$package/__init__.py`.
2. Say in its `dialect` what the models take, and in its `codes` what the vendor's own error codes mean.
3. Say in a `models.toml` beside it what the models can do.""",
    "process": """\
1. Set `command` in `$package/__init__.py`.
2. Change `$package/wire.py` to what your program reads and writes.
3. Say in `tako_capabilities` what the models can do.""",
}
"""What an author does first, by the kind of scaffold."""
PARTS = {
    "json": ("every", "json"),
    "completions": ("every", "completions"),
    "responses": ("every", "responses"),
    "process": ("every", "json", "process"),
}
"""The folders of a scaffold; what's in a later one goes before what's in an earlier one."""
OVER_HTTP = {
    "wire": "JSON to ``/chat``, and back JSON or Server-Sent Events",
    "lines": "",
    "event": r'b"data: " + msgspec.json.encode(value) + b"\n\n"',
    "bytes": "",
    "no_http": "",
    "extra": "[http]",
    "and_transport": ", and its transport",
}
OVER_PIPES = {
    "wire": "one line of JSON to the program, and back one document or lines of JSON",
    "lines": "\n    lines = True  # of JSON; else Server-Sent Events\n",
    "event": r'msgspec.json.encode(value) + b"\n"',
    "bytes": ', "bytes"',
    "no_http": "    http = False\n",
    "extra": "",
    "and_transport": "",
}
"""What differs in files that both have."""


def run(options: Namespace) -> int:
    """Carry out the command. Nothing is written unless everything can be."""
    names = names_for(options.name, options.class_name)
    root = Path(os.path.expanduser(options.into)) / names["distribution"]  # noqa: PTH111 - Path's raises where ~ is nobody's
    names["sources"] = sources(root)
    kind = kind_of(options)
    names |= OVER_PIPES if kind == "process" else OVER_HTTP
    names["steps"] = Template(STEPS[kind]).substitute(names)
    made = {place: render(text, names) for place, text in templates(kind, names)}
    write(root, made)
    if options.json:
        print_json({"folder": str(root), "files": sorted(made)})
        return 0
    lines = [f"{root} is ready:", *(f"  {place}" for place in sorted(made)), ""]
    lines += [
        "Next:",
        f"  cd {root}",
        "  uv run pytest",
        "  uv run mypy",
        f"  then make {names['package']}/ your vendor's (README.md says how)",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def kind_of(options: Namespace) -> str:
    """Return which scaffold is wanted. Raises UsageError if what is wanted exists over HTTP alone."""
    if options.transport == "http":
        return str(options.dialect)
    if options.dialect != "json":
        raise UsageError(f"--dialect {options.dialect} is over HTTP; --transport process has a wire of its own")
    return "process"


def names_for(name: str, class_name: str | None = None) -> dict[str, str]:
    """Return what the templates call things. Raises UsageError where the name cannot be one."""
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        hint = _hint(name)
        what = "lower-case letters, digits and single dashes, a letter first"
        raise UsageError(f"{name!r} isn't a valid provider name: {what}{f'; {hint!r} would be one' if hint else ''}")
    if name in TAKEN or name.startswith("tako-"):
        raise UsageError(
            f"{name!r} isn't a valid provider name; the distribution gets the tako- by itself, and 'core' is taken"
        )
    owner = next((entry for entry in provider_entries() if entry.name == name), None)
    if owner is not None:
        raise UsageError(f"there is a provider {name!r} already: {owner.distribution} {owner.version}")
    cls = class_name or "".join(word[:1].upper() + word[1:] for word in name.split("-"))
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", cls) or keyword.iskeyword(cls):
        raise UsageError(f"{cls!r} isn't a valid class name; --class AcmeAI would be one")
    return {
        "name": name,
        "cls": cls,
        "distribution": f"tako-{name}",
        "package": f"tako_{name.replace('-', '_')}",
        "variable": f"{name.replace('-', '_').upper()}_API_KEY",
        "hooks": str(VERSION),
        "core": ".".join(tako.__version__.split(".")[:2]),
    }


def sources(root: Path) -> str:
    """Tell uv where tako-core is if it's installed from a folder, such as a clone; otherwise the index has it."""
    facts: dict[str, Any] = json.loads(distribution("tako-core").read_text("direct_url.json") or "{}")
    if "dir_info" not in facts:
        return ""
    url: str = facts["url"]
    folder, root = Path(url2pathname(urlsplit(url).path)).resolve(), root.resolve()
    path = Path(os.path.relpath(folder, root)) if folder in root.parents else folder
    where = json.dumps(path.as_posix())  # JSON writes a string as TOML does
    return f"\n[tool.uv.sources]\ntako-core = {{ path = {where}, editable = true }} # remove this to use the index's\n"


def templates(kind: str, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each file's place in the distribution and its template."""
    scaffold = files("tako.cli") / "scaffold"
    for part in PARTS[kind]:
        for place, text in _walk(scaffold / part, ""):
            yield place.replace("PACKAGE", names["package"]), text


def render(text: str, names: dict[str, str]) -> str:
    """Fill a template in."""
    clash = re.search(rf"^from \S+ import .*\b{names['cls']}\b", text, re.MULTILINE)
    if clash is not None:
        raise UsageError(f"the class can't be {names['cls']}, a name that its module imports; choose one with --class")
    return Template(text).substitute(names)


def write(root: Path, made: dict[str, str]) -> None:
    """Write all files below a folder that must not be there yet; what cannot be finished is taken away again."""
    try:
        root.mkdir()
    except FileExistsError:
        raise UsageError(f"{root} already exists; nothing was written") from None
    except OSError as error:
        raise UsageError(f"{root} can't be made: {error.strerror or error}") from error
    try:
        for place, text in made.items():
            path = root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        shutil.rmtree(root, ignore_errors=True)
        raise UsageError(f"{root} can't be written: {error.strerror or error}") from error


def _walk(folder: Traversable, above: str) -> Iterator[tuple[str, str]]:
    """Yield all templates below a folder; the ending ``.in`` keeps them from being taken for code."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _walk(item, f"{above}{item.name}/")
        elif item.name.endswith(".in"):
            yield above + item.name.removesuffix(".in"), item.read_text(encoding="utf-8")


def _hint(name: str) -> str:
    """Return the nearest name that would do, or ""."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:LONGEST].strip("-").removeprefix("tako-")
    return words if NAME.fullmatch(words) else ""
