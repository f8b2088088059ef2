"""What a model's family takes and refuses, as data: ``families.toml``, which says where each fact is from."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tako.kit.families.names import bare_name

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""All efforts, from the least on."""


class Converse(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Bedrock's Converse carries to a model.

    - ``tools_in_streams``: ConverseStream takes tools; ``choices``: the choices of a tool beside "auto".
    - ``system`` and ``stops``: system messages and stop sequences are taken. ``status``: a tool result may say that it
      is an error.
    - ``schemas``: it takes a schema of a reply, and strict tools.
    - ``cache``: where cache points may stand; ``cache_hour``: they may last for an hour.
    - ``reasoning``: "taken" back by the model; "own" is of one that doesn't think: only what it is known to have made;
      "refused" even if it made it.
    """

    tools_in_streams: bool = True
    choices: tuple[Literal["any", "tool"], ...] = ("any", "tool")
    system: bool = True
    status: bool = False
    schemas: bool = True
    stops: bool = True
    cache: tuple[Literal["system", "messages", "tools"], ...] = ()
    cache_hour: bool = False
    reasoning: Literal["taken", "own", "refused"] = "taken"


class Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of strict schemas a model takes in one request: tools, optional properties, unions of types."""

    tools: int
    optional: int
    unions: int


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one model takes, wherever it is served. The defaults refuse nothing.

    - ``family``: its family's name, "" if the model isn't known.
    - ``sampling``: temperature and top_p are taken; ``sampling_together``: both in one request;
      ``sampling_beside_thinking``: while the model thinks, too. ``most_temperature``: the highest.
    - ``efforts``: the words that say how much it thinks; ``budgets``: the least and the most tokens that it may be
      allowed for it. Without either it doesn't think. ``stoppable``: it may be asked not to think at all. ``alone``:
      efforts beside which neither ``max_tokens`` nor sampling is taken.
    - ``prefill``: it goes on from a turn of its own at the end; ``trimmed``: such a text may not end with white space.
    - ``blank_stops``: stop sequences may be white space.
    - ``json_beside_tools``: a reply may be asked for in JSON while tools are declared.
    - ``quiet``: it leaves the text of its thinking out unless it is asked for.
    - ``schemas``: it takes a schema of a reply, and strict tools; ``strict``: how much of them.
    - ``plain_properties``: names of a tool's properties have 64 letters, digits, "_", "." and "-" at most.
    - ``system_between``: it takes system messages between turns.
    - ``most_output``: the most tokens of one reply, thinking included; ``default_output``: the limit that goes out on a
      wire that insists on one, if a request has none.
    """

    family: str = ""
    sampling: bool = True
    sampling_together: bool = True
    sampling_beside_thinking: bool = True
    most_temperature: float | None = None
    efforts: tuple[str, ...] = EFFORTS[2:]
    budgets: tuple[int, int] | None = None
    stoppable: bool = True
    alone: tuple[str, ...] = ()
    prefill: bool = True
    trimmed: bool = False
    blank_stops: bool = True
    json_beside_tools: bool = True
    schemas: bool = True
    strict: Strict | None = None
    plain_properties: bool = False
    quiet: bool = False
    system_between: bool = False
    most_output: int | None = None
    default_output: int = 4096
    converse: Converse = Converse()

    @property
    def thinks(self) -> bool:
        """Whether the model can be asked to think."""
        return bool(self.efforts) or self.budgets is not None


class Row(Struct):
    """Models of a family that differ from the others; the first row that matches decides."""

    match: str
    rules: dict[str, Any] = {}


class Family(Struct):
    """A family: its name, how its models are recognised, what holds for all of them, and for some."""

    name: str
    match: str
    rules: dict[str, Any] = {}
    model: list[Row] = []


class Sheet(Struct):
    """The whole file."""

    family: list[Family]


@lru_cache(1024)
def rules_of(model: str) -> Rules:
    """Return what a model takes, by its name in any spelling; UNKNOWN if the name tells no family."""
    name = bare_name(model)
    family = next((family for family in families() if name and re.search(family.match, name)), None)
    if family is None:
        return UNKNOWN
    row = next((row for row in family.model if re.search(row.match, name)), None)
    row_rules: dict[str, Any] = row.rules if row is not None else {}
    converse = {**family.rules.get("converse", {}), **row_rules.get("converse", {})}
    return msgspec.convert({**family.rules, **row_rules, "family": family.name, "converse": converse}, Rules)


@cache
def families() -> list[Family]:
    """Read the file; the first family that matches a name decides."""
    import tomllib
    from importlib.resources import files

    text = files(__package__ or "").joinpath("families.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Sheet).family


UNKNOWN = Rules(budgets=(1024, 1_000_000))
"""The rules of a model that nobody knows."""
