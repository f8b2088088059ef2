"""Options of the command in files: ``[chat]`` and ``[templates.NAME]`` of tako.toml, and template files.

Their keys are the options of ``tako chat``. The command line overrides a template, a template overrides ``[chat]``, and
``[chat]`` overrides the ``defaults`` of a provider.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from tako.errors import ConfigurationError
from tako.folders import config_folder
from tako.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

SUFFIXES = (".toml", ".md", ".txt")
"""Suffixes of template files. Except in TOML, the whole text is the prompt."""
INPUT = "input"
"""The placeholder of the prompt in a template: ``$input``."""
MAX_BYTES = 1024 * 1024
_PLACEHOLDER = re.compile(r"\$(?:\$|\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")


class Preset(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the command from a file. Only templates have ``prompt`` and ``model``.

    ``tools`` are ``module:function``, ``schema`` is what --schema takes. Paths and modules are relative to the folder
    of the file.
    """

    prompt: str | None = None
    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    reasoning: int | str | None = None
    timeout: float | None = None
    stop: list[str] | None = None
    strict: bool | None = None
    schema: str | None = None
    tools: list[str] | None = None
    stream: bool | None = None
    extract: bool | None = None
    usage: bool | None = None
    template: str | None = None


class Template(Struct, frozen=True):
    """A template with its name, its file, and the folder that its paths are relative to."""

    name: str
    preset: Preset
    file: str
    folder: Path

    def fill(self, prompt: str, parameters: Mapping[str, str]) -> str:
        """Return the prompt with ``$input`` and other placeholders filled in. ``$$`` is a dollar.

        Without ``$input``, the user's prompt goes after it. Raises ConfigurationError if a placeholder has no value.
        """
        text = self.preset.prompt
        if text is None:
            return prompt
        values = {**parameters, INPUT: prompt}
        placeholders = {match[1] or match[2] for match in _PLACEHOLDER.finditer(text)} - {None}
        missing = sorted(placeholders - set(values))
        if missing:
            flags = " ".join(f"-p {name}=…" for name in missing)
            raise ConfigurationError(f"the template {self.name!r} needs {', '.join(missing)}: {flags}")
        unused = sorted(set(parameters) - placeholders)
        if unused:
            raise ConfigurationError(f"the template {self.name!r} has no place ${unused[0]}")
        filled = _PLACEHOLDER.sub(lambda match: values.get(match[1] or match[2] or "", "$"), text)
        return filled if INPUT in placeholders else "\n\n".join(piece for piece in (filled.strip(), prompt) if piece)

    @property
    def needs_input(self) -> bool:
        """Whether it needs a prompt."""
        text = self.preset.prompt
        return text is None or any(INPUT in (match[1], match[2]) for match in _PLACEHOLDER.finditer(text))


def read_preset(table: Mapping[str, Any], where: str, *, template: bool) -> Preset:
    """Read a table. Raises ConfigurationError with the key."""
    keys = [name for name in Preset.__struct_fields__ if template or name not in ("prompt", "model")]
    unknown = next((key for key in table if key not in keys), None)
    if unknown is not None:
        hint = did_you_mean(unknown, keys) or f" (known: {', '.join(keys)})"
        raise ConfigurationError(f"{where}.{unknown}: no such key{hint}")
    try:
        return msgspec.convert(dict(table), Preset)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        raise ConfigurationError(f"{where}{path.rstrip('`')}: {text}") from None


def template_file(path: Path, name: str) -> Template:
    """Read a template's file. Raises ConfigurationError."""
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise ConfigurationError(f"{path} is larger than {MAX_BYTES // 1024} KiB")
        text = data.decode("utf-8-sig")
        table = tomllib.loads(text.replace("\r\n", "\n")) if path.suffix == ".toml" else {"prompt": text}
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None
    except UnicodeError as error:
        raise ConfigurationError(f"{path}: can't be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    return Template(name, read_preset(table, str(path), template=True), str(path), path.parent)


def template_folder() -> Path | None:
    """Return the folder of the user's own templates, even if it doesn't exist. None without a home folder."""
    folder = config_folder()
    return folder / "templates" if folder is not None else None


def user_templates() -> dict[str, Path]:
    """Return the user's own templates by their names."""
    folder = template_folder()
    files = sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []
    return {file.stem: file for file in files if file.suffix in SUFFIXES}
