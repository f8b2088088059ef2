"""``tako trust``: let tako use the tako.toml of a folder, or no longer."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tako import trust
from tako.cli.arguments import UsageError
from tako.cli.run import FAILED, complain
from tako.cli.screen import is_terminal
from tako.cli.session import print_json
from tako.cli.table import show
from tako.config import NAME, review
from tako.errors import ConfigurationError
from tako.referenced_files import iter_texts

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from tako.config import Review
    from tako.hooks.settings import Settings

_VARIABLE = re.compile(r"\$(?:ENV:)?([A-Za-z_]\w*)")
ADDRESSES = ("base_url", "endpoint_url", "endpoint", "url", "stream_url", "proxy")
"""The options that say where requests go, as the providers name them."""


LONGEST = 300
"""Characters of a line that are shown."""


def run(options: Namespace) -> int:
    """Carry out the command; exit code 1 where the answer was no."""
    if options.list:
        return _list(as_json=options.json)
    path = _path(options.file)
    if options.revoke:
        if not trust.forget(path):
            raise UsageError(f"{path} isn't trusted")
        return _told(path, f"{path} is no longer trusted", trusted=False, options=options)
    seen = review(path)
    if not options.yes:
        _show(path, seen)
        if not _asked():
            hint = "" if is_terminal(sys.stdin) else "; nobody answered on a terminal, so use tako trust --yes"
            _told(path, f"{path} isn't trusted{hint}", trusted=False, options=options)
            return FAILED
    trust.remember(path, seen.sha256, seen.beside.hashes)
    return _told(path, f"{path} is trusted as it is now", trusted=True, options=options)


def _told(path: Path, text: str, *, trusted: bool, options: Namespace) -> int:
    """Say what has become of a file."""
    if options.json:
        print_json({"file": str(trust.place_of(path)), "trusted": trusted})
    else:
        complain(f"tako: {text}")
    return 0


def _path(given: str | None) -> Path:
    path = Path(given or NAME)
    path = path / NAME if path.is_dir() else path
    if path.name != NAME:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")
        raise UsageError(f"only a {NAME} needs trust; name other files where you use them, as in -c {path}")
    return path


def _list(*, as_json: bool) -> int:
    rows = [{"file": record.path, "state": _state(record)} for record in trust.records()]
    if rows or as_json:
        show(rows, as_json=as_json)
    else:
        complain("tako: you trust no files")
    return 0


def _state(record: trust.Record) -> str:
    try:
        seen = review(Path(record.path))
    except ConfigurationError:
        return "gone or broken"
    same = (seen.sha256, seen.beside.hashes) == (record.sha256, record.beside)
    return "trusted" if same else "changed since, so not used"


def _asked() -> bool:
    """Ask; without a terminal, the answer is what standard input says."""
    sys.stderr.write("Trust it? [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    return answer.strip().lower() in ("y", "yes")


def _show(path: Path, seen: Review) -> None:
    """Say what a file does: which providers, where they send, which variables they read, and what it runs."""
    complain(str(trust.place_of(path)))
    for name, table in seen.config.providers.items():
        _say(f"[aliases] {name} {table.id}" if table.alias else f"[providers.{name}] {table.id}")
        for fact in _facts(table.options):
            _say(f"  {fact}")
    for line in _plugins(seen.config.plugins):
        _say(line)
    for name, preset in (
        ("chat", seen.config.chat),
        *((f"templates.{n}", p) for n, p in seen.config.templates.items()),
    ):
        facts = [f"{key} {value}" for key in ("model", "tools", "schema") if (value := getattr(preset, key))]
        if facts:
            _say(f"[{name}] {', '.join(facts)}")
    if seen.config.default is not None:
        _say(f"default {seen.config.default}")
    if seen.config.conductor_table is not None:
        _say(f"[conductor] {', '.join(seen.config.conductor_table.workers)}")
    for name in sorted(seen.beside.hashes):
        _say(f"runs or reads {name}")
    _say("It can run code as you, and send your keys and prompts to any address.")


def _say(line: str) -> None:
    """Show a line of a file that may want to look like another: in ASCII, and not longer than it should be."""
    shown = "".join(one if one.isascii() and one.isprintable() else ascii(one)[1:-1] for one in line)
    sys.stderr.write(f"{shown[:LONGEST]}…\n" if len(shown) > LONGEST else f"{shown}\n")


def _plugins(plugins: Settings) -> Iterator[str]:
    """Say what a file does with plugins."""
    for key, names in (("order", plugins.order), ("required", plugins.required)):
        if names:
            yield f"[plugins] {key} {', '.join(names)}"
    for name, options in plugins.options.items():
        yield f"[plugins.{name}] {', '.join(options)}"
        yield from (f"  {fact}" for fact in _facts(options))


def _facts(options: dict[str, Any]) -> list[str]:
    sends = [f"{name} {options[name]!r}" for name in ADDRESSES if name in options]
    variables = sorted({name for text in iter_texts(options) for name in _VARIABLE.findall(text)})
    return [*sends, *(f"reads {name}" for name in variables)]
