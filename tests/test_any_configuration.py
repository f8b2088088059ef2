"""Whatever a tako.toml holds, reading it and making its providers works or is a TakoError in one line."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tako import load_config
from tako.errors import TakoError
from tako.referenced_files import read_referenced_files

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=12),
    st.sampled_from(
        ["$ENV:HOME", "Bearer $ENV:HOME", "$ENV:", "$ENV:NOT_SET_9", "x$ENV:HOME", "a:b", "a.b:c", "x.json"]
    ),
    st.sampled_from(
        ["openai:m", "http-generic:m", "python:json:dumps", "ollama", "https://h/v1?key=k", "../x.toml", "\0"]
    ),
)
VALUE = st.recursive(
    st.one_of(TEXT, st.integers(-9, 2**40), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
KEYS = ["model", "api_key", "headers", "base_url", "url", "query", "body_template", "timeout", "capabilities", "file"]
OPTIONS = st.dictionaries(
    st.sampled_from([*KEYS, "proxy", "endpoint", "stream", "places", "url_prefetch"]), VALUE, max_size=4
)
PROVIDERS = [
    "openai",
    "http-generic",
    "python",
    "ollama",
    "azure-openai",
    "anthropic",
    "openai:m",
    "python:a.b:c",
    "",
    "x",
]
TABLES = st.dictionaries(TEXT, st.tuples(st.one_of(st.sampled_from(PROVIDERS), VALUE), OPTIONS), max_size=3)


def toml(value: Any) -> str:
    """Write a value as TOML has it inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, float) else repr(value)


@settings(max_examples=100)
@given(tables=TABLES, more=st.dictionaries(st.sampled_from(["default", "conductor", "allow_secrets"]), VALUE))
def test_any_file_is_read_or_refused_in_one_line(tables: dict[str, Any], more: dict[str, Any]) -> None:
    content = {**more, "providers": {name: {"use": use, **options} for name, (use, options) in tables.items()}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "my.toml")
        path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in content.items()), encoding="utf-8")
        read_referenced_files(Path(folder), content)
        attempt(partial(everything, path))


def everything(path: Path) -> None:
    config = load_config(path)
    for name in config.providers:
        attempt(partial(config.provider, name))


def attempt(work: Callable[[], object]) -> None:
    """Let a piece of work fail, but with a TakoError of one line."""
    try:
        work()
    except TakoError as error:
        text = str(error)
    else:
        return
    assert "\n" not in text
