"""``tako templates``: list templates, or show one."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import asdict

from tako.cli.arguments import UsageError
from tako.cli.configuration import announce, read_configuration
from tako.cli.run import print_to_stderr
from tako.cli.session import print_json
from tako.cli.settings import find_template
from tako.cli.table import print_rows
from tako.cli.terminal import printable
from tako.errors import ConfigurationError
from tako.presets import Preset, Template, template_file, template_folder, user_templates

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from tako.config import Config


NAME = re.compile(r"[\w-]+")
NOT_IN_TEMPLATES = {
    "-o": "option",
    "-f or -i": "attached",
    "-p": "parameters",
    "-t": "template",
    "-C": "resumed",
    "--yes": "yes",
    "--private": "private",
}
"""Options of ``tako chat`` that a template can't contain."""


def run(options: Namespace) -> int:
    """Run the command."""
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
    templates = list(_all_templates(config))
    rows: list[dict[str, Any]] = [
        {
            "name": listed.name,
            "file": listed.file,
            "model": listed.preset.model,
            "prompt": listed.preset.prompt or listed.preset.system,
        }
        for listed in templates
    ]
    if rows or options.json:
        print_rows(rows, as_json=options.json)
    else:
        print_to_stderr(f"tako: you have no templates; tako chat --save NAME writes one to {template_folder()}")
    if config is not None and config.templates:
        announce(config, options.config)
    return 0


def save(options: Namespace) -> int:
    """Save the options of ``tako chat`` that were passed as a template of the user."""
    folder = template_folder()
    if folder is None or not NAME.fullmatch(options.save):
        raise UsageError(f"{options.save!r} isn't a valid name for a template; use letters, digits, _ and -")
    unsupported = [name for name, key in NOT_IN_TEMPLATES.items() if getattr(options, key) not in (None, False, [])]
    if unsupported:
        raise UsageError(
            f"a template can't have {', '.join(unsupported)}; use {'it' if len(unsupported) == 1 else 'them'} with -t"
        )
    settings = {**vars(options), "prompt": " ".join(options.prompt) or None}
    settings["schema"] = _absolute_path(options.schema) if options.schema else None
    settings["tools"] = [_absolute_path(tool) for tool in options.tools] if options.tools else None
    facts = {key: settings[key] for key in Preset.__struct_fields__ if key != "template" and settings[key] is not None}
    file = folder / f"{options.save}.toml"
    try:
        lines = [f"{key} = {_to_toml(value)}\n" for key, value in facts.items()]
    except UnicodeError:
        raise UsageError("a template is UTF-8 text, but an option isn't") from None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as file_object:
            file_object.writelines(lines)
    except FileExistsError:
        raise UsageError(f"{file} already exists; delete it first") from None
    except OSError as error:
        raise UsageError(f"{file} can't be written: {error.strerror or error}") from None
    if options.json:
        print_json({"name": options.save, "file": str(file)})
    else:
        print_to_stderr(f"tako: written to {file}; tako chat -t {options.save} uses it")
    return 0


def _to_toml(value: Any) -> str:
    """Encode a value as TOML: it's the same as JSON, except for one character."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _absolute_path(text: str) -> str:
    """Return the absolute path of a file, so that it's found from any folder. Return other names unchanged."""
    path, colon, name = text.partition(":")
    if not path.endswith((".py", ".json")):
        return text
    return f"{os.path.abspath(os.path.expanduser(path))}{colon}{name}"  # noqa: PTH100, PTH111 - the user may be unknown


def _all_templates(config: Config | None) -> Iterator[Template]:
    """Iterate over the templates of the configuration, then over the user's own."""
    for name in config.templates if config is not None else ():
        template = find_template(name, config)
        assert template is not None
        yield template
    for name, path in user_templates().items():
        if config is None or name not in config.templates:
            try:
                yield template_file(path, name)
            except ConfigurationError as error:  # other templates are still listed
                print_to_stderr(f"tako: {error}")
