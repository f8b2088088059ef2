"""Settings of ``tako chat`` for options that aren't passed: a template, then ``[chat]`` of tako.toml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tako.cli.arguments import UsageError
from tako.errors import ConfigurationError
from tako.names import did_you_mean
from tako.presets import SUFFIXES, Preset, Template, template_file, template_folder, user_templates

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from tako.config import Config

NOT_OPTIONS = ("prompt", "model", "template", "schema", "tools")
"""Keys of a preset that aren't options with the same value."""


class Reference(NamedTuple):
    """The name of a schema or a tool, and the folders to look in.

    ``allows_files``: whether it may be a .py file. A tako.toml only names modules, because trust covers those.
    """

    text: str
    folders: list[str]
    allows_files: bool = True


def find_template(name: str | None, config: Config | None) -> Template | None:
    """Find the template that -t, or else ``[chat]``, names. Raises ConfigurationError.

    A name with a slash or a suffix is a file. Any other name is looked up in the configuration, then in the user's
    folder.
    """
    template_name = name or (config.chat.template if config is not None else None)
    if template_name is None:
        return None
    path = Path(os.path.expanduser(template_name))  # noqa: PTH111 - Path's raises for an unknown user
    if name and (path.suffix in SUFFIXES or os.sep in template_name):
        return template_file(path, template_name)
    if config is not None and template_name in config.templates:
        return Template(template_name, config.templates[template_name], config.path, Path(config.path).parent)
    own_paths = user_templates()
    if template_name in own_paths:
        return template_file(own_paths[template_name], template_name)
    known_names = [*(config.templates if config is not None else ()), *own_paths]
    hint = did_you_mean(template_name, known_names) or (f" (known: {', '.join(known_names)})" if known_names else "")
    raise ConfigurationError(f"the template {template_name!r} isn't in tako.toml or {template_folder()}{hint}")


def apply_presets(options: Namespace, template: Template | None, config: Config | None) -> None:
    """Fill in the options that aren't passed, and add folders to the names of the schema and the tools."""
    folders_here = [str(Path.cwd())]
    options.schema = Reference(options.schema, folders_here) if options.schema is not None else None
    options.tools = [Reference(text, folders_here) for text in options.tools] if options.tools is not None else None
    for preset, folders, allows_files in _presets(template, config):
        for key in preset.__struct_fields__:
            if key not in NOT_OPTIONS and getattr(options, key) is None:
                setattr(options, key, getattr(preset, key))
        if options.schema is None and preset.schema is not None:
            options.schema = Reference(preset.schema, folders, allows_files)
        if options.tools is None and preset.tools is not None:
            options.tools = [Reference(text, folders, allows_files) for text in preset.tools]
    options.stream = options.stream is not False
    options.tools = options.tools or []


def fill_template(options: Namespace, template: Template | None, prompt: str | None) -> str | None:
    """Return the prompt, filled into the template; None for a conversation. Raises UsageError."""
    parameters = dict(options.parameters)
    if template is None:
        if parameters:
            raise UsageError("-p needs a template: pass -t NAME")
        return prompt
    if prompt is None and template.needs_input:
        return None
    return template.fill(prompt or "", parameters)


def _presets(template: Template | None, config: Config | None) -> Iterator[tuple[Preset, list[str], bool]]:
    """Iterate over the presets below the options: with the folders for their names, and whether they may name files."""
    configured: list[Any] = list(config.places) if config is not None else []
    if template is not None:
        of_config = config is not None and template.file == config.path
        yield template.preset, configured if of_config else [str(template.folder)], not of_config
    if config is not None:
        yield config.chat, configured, False
