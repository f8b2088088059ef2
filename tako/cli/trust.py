"""``tako trust``: trust the tako.toml of a folder, or stop trusting it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tako import trust
from tako.cli.arguments import UsageError
from tako.cli.run import FAILED, print_to_stderr
from tako.cli.session import print_json
from tako.cli.table import print_rows
from tako.cli.terminal import is_terminal
from tako.config import NAME, review
from tako.errors import ConfigurationError
from tako.json_values import as_array, as_object
from tako.names import shipped_name
from tako.referenced_files import iter_texts

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from tako.config import Config, Review
    from tako.hooks.settings import Settings

_VARIABLE = re.compile(r"\$(?:ENV:)?([A-Za-z_]\w*)")
ADDRESSES = ("base_url", "endpoint_url", "endpoint", "url", "stream_url", "proxy")
"""Options that decide where requests go, as the providers name them."""


MAX_LINE = 300
"""Characters of a line that are shown."""


def run(options: Namespace) -> int:
    """Run the command; exit code 1 if the answer was no."""
    if options.list:
        return _print_trusted(as_json=options.json)
    path = _path(options.file)
    if options.revoke:
        if not trust.forget(path):
            raise UsageError(f"{path} isn't trusted")
        return _report(path, f"{path} is no longer trusted", trusted=False, options=options)
    reviewed = review(path)
    if not options.yes:
        _print_review(path, reviewed)
        if not _confirm():
            hint = "" if is_terminal(sys.stdin) else "; without a terminal, use tako trust --yes"
            _report(path, f"{path} isn't trusted{hint}", trusted=False, options=options)
            return FAILED
    trust.remember(path, reviewed.sha256, reviewed.files.hashes)
    return _report(path, f"{path} is trusted as it is now", trusted=True, options=options)


def _report(path: Path, text: str, *, trusted: bool, options: Namespace) -> int:
    """Print the result for a file."""
    if options.json:
        print_json({"file": str(trust.canonical_path(path)), "trusted": trusted})
    else:
        print_to_stderr(f"tako: {text}")
    return 0


def _path(path_text: str | None) -> Path:
    path = Path(path_text or NAME)
    path = path / NAME if path.is_dir() else path
    if path.name != NAME:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")
        raise UsageError(f"only a {NAME} needs trust; you can use other files with -c {path}")
    return path


def _print_trusted(*, as_json: bool) -> int:
    rows = [{"file": record.path, "state": _state(record)} for record in trust.records()]
    if rows or as_json:
        print_rows(rows, as_json=as_json)
    else:
        print_to_stderr("tako: you don't trust any files")
    return 0


def _state(record: trust.Record) -> str:
    try:
        reviewed = review(Path(record.path))
    except ConfigurationError:
        return "gone or broken"
    is_same = (reviewed.sha256, reviewed.files.hashes) == (record.sha256, record.beside)
    return "trusted" if is_same else "changed since, so it isn't used"


def _confirm() -> bool:
    """Ask the user; the answer is a line of standard input."""
    sys.stderr.write("Trust it? [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    return answer.strip().lower() in ("y", "yes")


def _print_review(path: Path, reviewed: Review) -> None:
    """Print what a file does: its providers, where they send requests, which variables they read, and what it runs."""
    print_to_stderr(str(trust.canonical_path(path)))
    for name, table in reviewed.config.providers.items():
        _print_line(f"[aliases] {name} {table.id}" if table.alias else f"[providers.{name}] {table.id}")
        for fact in _option_facts(table.options):
            _print_line(f"  {fact}")
    for line in _plugin_lines(reviewed.config.plugins):
        _print_line(line)
    for name, preset in (
        ("chat", reviewed.config.chat),
        *((f"templates.{template_name}", p) for template_name, p in reviewed.config.templates.items()),
    ):
        facts = [f"{key} {value}" for key in ("model", "tools", "schema") if (value := getattr(preset, key))]
        if facts:
            _print_line(f"[{name}] {', '.join(facts)}")
    if reviewed.config.default is not None:
        _print_line(f"default {reviewed.config.default}")
    if reviewed.config.conductor_table is not None:
        _print_line(f"[conductor] {', '.join(reviewed.config.conductor_table.workers)}")
    for name in sorted(reviewed.files.hashes):
        _print_line(f"runs or reads {name}")
    _print_line(_summary(reviewed))


def _summary(reviewed: Review) -> str:
    """Say what the file can do at most. Other plugins, and options of plugins, may do anything."""
    config, files = reviewed.config, reviewed.files.hashes
    presets = [config.chat, *config.templates.values()]
    ids = [table.id for table in config.providers.values()]
    ids += [id for id in (config.default, *(preset.model for preset in presets)) if id and not _is_table(id, config)]
    options = [table.options for table in config.providers.values()]
    used = {_provider_of(id) for id in ids}
    parts = {_provider_of(text) for text in iter_texts(options)}  # such as the providers of a fallback
    has_function = any(preset.tools or preset.template or ":" in (preset.schema or "") for preset in presets)
    has_code = has_function or "python" in used | parts or any(file.endswith(".py") for file in files)
    if has_code or None in used or config.plugins.options:
        return "It can run code as you, and send your keys and prompts to any address."
    if files or "http-generic" in used | parts or any(key in ADDRESSES for key in _iter_keys(options)):
        return "It can send your keys and prompts to any address. It doesn't run code."
    return "It chooses models, which you pay for. It doesn't run code, and uses the vendors' usual addresses."


def _provider_of(id: str) -> str | None:
    return shipped_name(id.partition(":")[0])


def _is_table(id: str, config: Config) -> bool:
    return id.partition(":")[0] in config.providers


def _iter_keys(value: Any) -> Iterator[str]:
    """Iterate over the keys of all tables in a value."""
    table, items = as_object(value), as_array(value)
    yield from table or ()
    for one in table.values() if table is not None else items or ():
        yield from _iter_keys(one)


def _print_line(line: str) -> None:
    """Print a line about a file, in ASCII and shortened, so that it can't look like another line."""
    safe_line = "".join(
        character if character.isascii() and character.isprintable() else ascii(character)[1:-1] for character in line
    )
    sys.stderr.write(f"{safe_line[:MAX_LINE]}…\n" if len(safe_line) > MAX_LINE else f"{safe_line}\n")


def _plugin_lines(plugins: Settings) -> Iterator[str]:
    """Yield lines about the plugins of a file."""
    for key, names in (("order", plugins.order), ("required", plugins.required)):
        if names:
            yield f"[plugins] {key} {', '.join(names)}"
    for name, options in plugins.options.items():
        yield f"[plugins.{name}] {', '.join(options)}"
        yield from (f"  {fact}" for fact in _option_facts(options))


def _option_facts(options: dict[str, Any]) -> list[str]:
    sends = [f"{name} {options[name]!r}" for name in ADDRESSES if name in options]
    variables = sorted({name for text in iter_texts(options) for name in _VARIABLE.findall(text)})
    return [*sends, *(f"reads {name}" for name in variables)]
