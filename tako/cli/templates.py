"""``tako templates``: which there are, and what one says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
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
from tako.presets import Preset, Template, own_templates, template_file, template_folder

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from tako.config import Config


NAME = re.compile(r"[\w-]+")


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
    given = {**vars(options), "prompt": " ".join(options.prompt) or None}
    given["schema"] = _from_here(options.schema) if options.schema else None
    given["tools"] = [_from_here(one) for one in options.tools] if options.tools else None
    facts = {key: given[key] for key in Preset.__struct_fields__ if key != "template" and given[key] is not None}
    file = folder / f"{options.save}.toml"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as made:
            made.writelines(f"{key} = {msgspec.json.encode(value).decode()}\n" for key, value in facts.items())
    except FileExistsError:
        raise UsageError(f"{file} is there already; delete it first") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from None
    complain(f"tako: written to {file}; tako chat -t {options.save} uses it")
    return 0


def _from_here(text: str) -> str:
    """Return the place of a file that is named, so that it's found from any folder; all else as it is."""
    path, colon, name = text.partition(":")
    return f"{Path(path).expanduser().absolute()}{colon}{name}" if path.endswith((".py", ".json")) else text


def _all(config: Config | None) -> Iterator[Template]:
    """Iterate over the templates of the configuration, then the user's own."""
    for name in config.templates if config is not None else ():
        template = find_template(name, config)
        assert template is not None
        yield template
    for name, path in own_templates().items():
        if config is None or name not in config.templates:
            yield template_file(path, name)
