"""Suggestions for unknown names: an id, a similar name, or a distribution that tako ships.

A suggestion to install never uses the text that was typed: an attacker could register ``tako-gpt-6``.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tako.discovery import exclusion_reason, provider_entries
from tako.json_values import as_array, as_object

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tako.installed import Entry

SHIPPED: Mapping[str, str] = {
    "openai": "tako-openai",
    "anthropic": "tako-anthropic",
    "gemini": "tako-vertex",
    "vertex": "tako-vertex",
    "mistral": "tako-mistral",
    "bedrock": "tako-bedrock",
    "azure-openai": "tako-azure-openai",
    "ollama": "tako-ollama",
    "llamacpp": "tako-llamacpp",
    "http-generic": "tako-http-generic",
    "python": "tako-python",
    "fallback": "tako-fallback",
}
"""The providers that tako ships and their distributions, the only ones that a message advises to install.

Those of a model's maker come before those of a reseller, and in that order they are suggested.
"""
CUTOFF = 0.7
"""How similar two names are, from 0 to 1, if one may be a typo of the other."""
MAX_SUGGESTIONS = 3
"""The most ids that a message suggests."""
Row = tuple[str, str]
"""A provider and one of the models in its table."""
_VERSION = re.compile(r"([-@:.].*)?")
"""What may follow a row's id. It may be more than a version, since this is only for suggestions."""
_REGION = re.compile(r"^[a-z]{2,6}(-gov)?\.(?=[a-z]+\.)")
"""The prefix of some ids of Bedrock: ``us.anthropic.claude-…``."""


def unknown_provider(id: str, configured: Collection[str] = ()) -> str:
    """Return a one-line message for an unknown provider: what is installed, and what may have been meant.

    ``configured`` are the names of providers in the configuration file that is in use.
    """
    entries = provider_entries()
    names = sorted({entry.name for entry in entries})
    text = f"no provider {id.partition(':')[0]!r} is installed (installed: {', '.join(names) or 'none'})"
    hint = _hint(id, entries, configured)
    return f"{text}; {hint}" if hint else text


def did_you_mean(key: str, names: Collection[str]) -> str:
    """Return "; did you mean 'openai'?" if a name is similar, else ""."""
    matches = difflib.get_close_matches(key, names, 1, CUTOFF)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def nearest_or_all(key: str, names: Collection[str]) -> str:
    """Return the name that is near, as ``did_you_mean`` does, or all of them: " (known: openai, mistral)"."""
    return did_you_mean(key, names) or f" (known: {', '.join(names) or 'none'})"


def shipped_name(key: str) -> str | None:
    """Return the provider that tako ships under a name or a class's name: "AzureOpenAI" is "azure-openai"."""
    plain = key.lower().removesuffix("provider")
    return next((name for name in SHIPPED if key == name or plain == name.replace("-", "")), None)


def known_models() -> list[str]:
    """Return the ids of all models in the tables of installed providers; nothing is imported."""
    rows = _models([entry for entry in provider_entries() if exclusion_reason(entry) is None])
    return sorted({f"{provider}:{model}" for provider, model in rows})


def _hint(id: str, entries: list[Entry], configured: Collection[str]) -> str:
    key = id.partition(":")[0]
    shipped = shipped_name(key)
    if shipped is not None and not any(entry.name == shipped for entry in entries):
        return f"pip install {SHIPPED[shipped]}"
    maker, _, model = id.partition("/")  # as other libraries write ids
    if model and any(entry.name == maker for entry in entries):
        return f"write {maker}:{model}"
    rows = sorted(_models([entry for entry in entries if exclusion_reason(entry) is None]), key=_rank)
    makers = _makers(id.lower(), rows)
    if makers:
        return f"it is a model: write {_join_ids(f'{maker}:{id}' for maker in makers)}"
    typo = _typo(key, entries, configured)
    if typo:
        return typo
    ids = _near_models(id.lower(), rows)
    if ids:
        return f"did you mean {_join_ids(ids)}?"
    return f"the configuration has {', '.join(configured)}" if configured else ""


def _typo(key: str, entries: list[Entry], configured: Collection[str]) -> str:
    """Suggest a similar name: from the configuration, of an installed provider, or of one that tako ships."""
    installed = [name for entry in entries for name in (entry.name, entry.attr)]
    name = next(iter(difflib.get_close_matches(key, [*configured, *installed, *SHIPPED], 1, CUTOFF)), None)
    if name is None:
        return ""
    if name in configured:
        return f"did you mean {name!r}? (tako.toml has it)"
    return f"did you mean {name!r}?" + ("" if name in installed else f" (pip install {SHIPPED[name]})")


def _join_ids(ids: Iterable[str]) -> str:
    return " or ".join([*dict.fromkeys(ids)][:MAX_SUGGESTIONS])


def _makers(model: str, rows: list[Row]) -> list[str]:
    """Name the providers that have a row for a model, for one that it's a version of, or for its family's newest."""
    names = [model, _REGION.sub("", model)]
    base = model.removesuffix("-latest")
    return [
        provider
        for provider, row in rows
        if any(name.startswith(row) and _VERSION.fullmatch(name[len(row) :]) for name in names)
        or (base != model and row.startswith(f"{base}-"))
    ]


def _near_models(model: str, rows: list[Row]) -> list[str]:
    """Return ids for the beginning of a model's name, for a typo, or for a new model of a known family."""
    prefixed = [row for row in rows if model and row[1].startswith(model)]
    similar = difflib.get_close_matches(model, [row for _, row in rows], 1, 0.8)
    matches = prefixed or [row for row in rows if row[1] in similar]
    if matches:
        return [f"{provider}:{row}" for provider, row in matches]
    family = re.match(r"[a-z]+(?=[-\d])", model)
    return [f"{provider}:{model}" for provider, row in rows if family and re.match(rf"{family[0]}[-\d]", row)]


def _rank(row: Row) -> int:
    return [*SHIPPED, row[0]].index(row[0])


def _models(entries: list[Entry]) -> Iterator[Row]:
    """Iterate over the tables of models (``models.toml``) of installed providers, as pairs of provider and model.

    The files are in the packages' folders. No package is imported.
    """
    for entry in entries:
        with suppress(Exception):  # a table that can't be read suggests nothing
            file = _models_file(entry.module)
            table: dict[str, Any] = tomllib.loads(file.read_text("utf-8")) if file is not None else {}
            for entry_row in as_array(table.get("model")) or []:
                fields = as_object(entry_row) or {}
                if isinstance(id := fields.get("id"), str) and fields.get("suggested", True):
                    yield entry.name, id


def _models_file(module: str) -> Path | None:
    """Find the table of a module's package, or of a parent package."""
    top, *rest = module.split(".")
    spec = find_spec(top)  # find_spec doesn't import a top-level package
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for depth in range(len(rest), -1, -1):
            file = Path(folder, *rest[:depth], "models.toml")
            if file.is_file():
                return file
    return None
