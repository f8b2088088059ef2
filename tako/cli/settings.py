"""What ``tako chat`` does where its options don't say: a template, then ``[chat]`` of tako.toml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tako.cli.arguments import UsageError
from tako.errors import ConfigurationError
from tako.names import did_you_mean
from tako.presets import SUFFIXES, Preset, Template, own_templates, template_file, template_folder

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from tako.config import Config

NOT_OPTIONS = ("prompt", "model", "template", "schema", "tools")
"""Keys of a preset that aren't options with the same value."""


class Named(NamedTuple):
    """A schema or a tool by its name, and the folders that it is looked for in.

    ``files``: whether it may be a .py file. A tako.toml names modules alone, since trust covers those.
    """

    text: str
    places: list[str]
    files: bool = True


def find_template(name: str | None, config: Config | None) -> Template | None:
    """Find the template that -t, or else ``[chat]``, names. Raises ConfigurationError.

    A name with a slash or a suffix is a file. Any other is one of the configuration's, else one of the user's own.
    """
    wanted = name or (config.chat.template if config is not None else None)
    if wanted is None:
        return None
    path = Path(os.path.expanduser(wanted))  # noqa: PTH111 - Path's raises where ~ is nobody's
    if name and (path.suffix in SUFFIXES or os.sep in wanted):
        return template_file(path, wanted)
    if config is not None and wanted in config.templates:
        return Template(wanted, config.templates[wanted], config.path, Path(config.path).parent)
    own = own_templates()
    if wanted in own:
        return template_file(own[wanted], wanted)
    known = [*(config.templates if config is not None else ()), *own]
    hint = did_you_mean(wanted, known) or (f" (known: {', '.join(known)})" if known else "")
    raise ConfigurationError(f"there is no template {wanted!r} in tako.toml or {template_folder()}{hint}")


def settle(options: Namespace, template: Template | None, config: Config | None) -> None:
    """Fill in the options that aren't given, and name the schema and the tools."""
    here = [str(Path.cwd())]
    options.schema = Named(options.schema, here) if options.schema is not None else None
    options.tools = [Named(text, here) for text in options.tools] if options.tools is not None else None
    for preset, places, files in _presets(template, config):
        for key in preset.__struct_fields__:
            if key not in NOT_OPTIONS and getattr(options, key) is None:
                setattr(options, key, getattr(preset, key))
        if options.schema is None and preset.schema is not None:
            options.schema = Named(preset.schema, places, files)
        if options.tools is None and preset.tools is not None:
            options.tools = [Named(text, places, files) for text in preset.tools]
    options.stream = options.stream is not False
    options.tools = options.tools or []


def fill(options: Namespace, template: Template | None, prompt: str | None) -> str | None:
    """Return the prompt as the template has it; None for a conversation. Raises UsageError."""
    parameters = dict(options.parameters)
    if template is None:
        if parameters:
            raise UsageError("-p is for a template, which -t names")
        return prompt
    if prompt is None and template.wants_input:
        return None
    return template.fill(prompt or "", parameters)


def _presets(template: Template | None, config: Config | None) -> Iterator[tuple[Preset, list[str], bool]]:
    """Iterate over what goes under the options: each with the folders of its names, and whether it may name files."""
    configured: list[Any] = list(config.places) if config is not None else []
    if template is not None:
        of_config = config is not None and template.file == config.path
        yield template.preset, configured if of_config else [str(template.folder)], not of_config
    if config is not None:
        yield config.chat, configured, False
