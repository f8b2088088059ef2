"""``tako templates``: which there are, and what one says."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import asdict

from tako.cli.arguments import UsageError
from tako.cli.configuration import announce, read_configuration
from tako.cli.run import complain
from tako.cli.screen import printable
from tako.cli.session import print_json
from tako.cli.settings import find_template
from tako.cli.table import show
from tako.errors import ConfigurationError
from tako.presets import Preset, Template, own_templates, template_file, template_folder

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from tako.config import Config


NAME = re.compile(r"[\w-]+")
NOT_KEPT = {
    "-o": "option",
    "-f or -i": "attached",
    "-p": "parameters",
    "-t": "template",
    "-C": "resumed",
    "--yes": "yes",
    "--private": "private",
}
"""Options of ``tako chat`` that a template can't have."""


def run(options: Namespace) -> int:
    """Carry out the command."""
    config = read_configuration(options.config)
    if options.name is not None:
        template = find_template(options.name, config)
        assert template is not None
        facts = {key: value for key, value in asdict(template.preset).items() if value is not None}
        if options.json:
            print_json({"name": template.name, "file": template.file, **facts})
        else:
            sys.stdout.writelines(f"{key}: {printable(str(value))}\n" for key, value in facts.items())
        return 0
    found = list(_all(config))
    rows: list[dict[str, Any]] = [
        {
            "name": one.name,
            "file": one.file,
            "model": one.preset.model,
            "prompt": one.preset.prompt or one.preset.system,
        }
        for one in found
    ]
    if rows or options.json:
        show(rows, as_json=options.json)
    else:
        complain(f"tako: there are no templates; one would be {template_folder()}/NAME.toml")
    if config is not None and config.templates:
        announce(config, options.config)
    return 0


def save(options: Namespace) -> int:
    """Write the options of ``tako chat`` that are given into a template of the user's own."""
    folder = template_folder()
    if folder is None or not NAME.fullmatch(options.save):
        raise UsageError(f"{options.save!r} can't be a template's name (letters, digits, _ and -)")
    lost = [name for name, key in NOT_KEPT.items() if getattr(options, key) not in (None, False, [])]
    if lost:
        raise UsageError(
            f"a template has no {', '.join(lost)}; give {'it' if len(lost) == 1 else 'them'} when you use it"
        )
    given = {**vars(options), "prompt": " ".join(options.prompt) or None}
    given["schema"] = _from_here(options.schema) if options.schema else None
    given["tools"] = [_from_here(one) for one in options.tools] if options.tools else None
    facts = {key: given[key] for key in Preset.__struct_fields__ if key != "template" and given[key] is not None}
    file = folder / f"{options.save}.toml"
    try:
        lines = [f"{key} = {_toml(value)}\n" for key, value in facts.items()]
    except UnicodeError:
        raise UsageError("a template is UTF-8 text, and what you gave isn't") from None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as made:
            made.writelines(lines)
    except FileExistsError:
        raise UsageError(f"{file} is there already; delete it first") from None
    except OSError as error:
        raise UsageError(f"{file} can't be written: {error.strerror or error}") from None
    if options.json:
        print_json({"name": options.save, "file": str(file)})
    else:
        complain(f"tako: written to {file}; tako chat -t {options.save} uses it")
    return 0


def _toml(value: Any) -> str:
    """Write a value; what JSON has is TOML, but for one character."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _from_here(text: str) -> str:
    """Return the place of a file that is named, so that it's found from any folder; all else as it is."""
    path, colon, name = text.partition(":")
    if not path.endswith((".py", ".json")):
        return text
    return f"{os.path.abspath(os.path.expanduser(path))}{colon}{name}"  # noqa: PTH100, PTH111 - ~ may be nobody's


def _all(config: Config | None) -> Iterator[Template]:
    """Iterate over the templates of the configuration, then the user's own."""
    for name in config.templates if config is not None else ():
        template = find_template(name, config)
        assert template is not None
        yield template
    for name, path in own_templates().items():
        if config is None or name not in config.templates:
            try:
                yield template_file(path, name)
            except ConfigurationError as error:  # the others are fine
                complain(f"tako: {error}")
