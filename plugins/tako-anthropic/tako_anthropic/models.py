"""What the models of Anthropic take, by name (https://platform.claude.com/docs, pages "Thinking" and "Models").

As of November 2026. Models up to Claude 4.6 sample, and think within a budget; from 4.6 on they think adaptively, as
much as an effort allows, and no longer go on from a beginning of their reply; from 4.7 on they take no budget and no
sampling parameters, whatever the API version. From Opus 4.1 on temperature and top_p exclude each other. From Opus 4.8
on, but not Sonnet 5, they take system messages between turns (page "Mid-conversation system messages").
"""

from __future__ import annotations

import re

from msgspec import Struct


class Model(Struct, frozen=True, kw_only=True):
    """The abilities that decide what is sent. Of names that are not Anthropic's nothing is known: they get it all.

    ``budget``: thinks within a budget of tokens; ``effort``: thinks adaptively, by effort; ``samples``: temperature,
    top_p and top_k are taken, ``samples_by_both``: the first two also beside each other; ``goes_on``: from a turn of
    its own at the end; ``quiet``: leaves the text of its thinking out unless it is asked for; ``system_between``: takes
    system messages between turns. Of those servers that only speak the API are not known to have any.
    """

    budget: bool = True
    effort: bool = True
    samples: bool = True
    samples_by_both: bool = True
    goes_on: bool = True
    quiet: bool = False
    system_between: bool = False


UNKNOWN = Model()
ADAPTIVE = Model(budget=False, samples=False, goes_on=False, quiet=True)
CURRENT = Model(budget=False, samples=False, goes_on=False, quiet=True, system_between=True)
CLAUDE = re.compile(r"claude-")
FAMILIES = (
    (re.compile(r"claude-(instant|[12]\b|3-(opus|sonnet|haiku)|3[-.]5)"), Model(budget=False, effort=False)),
    (re.compile(r"claude-3[-.]7"), Model(effort=False)),
    (re.compile(r"claude-(opus|sonnet)-4[-.]6"), Model(samples_by_both=False, goes_on=False)),
    (re.compile(r"claude-(opus-4[-.]7|sonnet-5(?![-.]\d(?!\d))|mythos-preview)"), ADAPTIVE),
    (re.compile(r"claude-opus-4[-.]8"), CURRENT),
    (re.compile(r"claude-(opus|sonnet|haiku)-4[-.][15](?!\d)"), Model(effort=False, samples_by_both=False)),
    (re.compile(r"claude-(opus|sonnet|haiku)-4"), Model(effort=False)),
    (CLAUDE, CURRENT),
)
"""The first that is found in a model's name decides; what is not listed is newer than this table."""


def is_claude(name: str) -> bool:
    """Whether a model is one of Anthropic's."""
    return CLAUDE.search(name) is not None


def model_of(name: str) -> Model:
    """Return what a model takes; prefixes of gateways and clouds ("anthropic.", "us.") do not matter."""
    return next((model for pattern, model in FAMILIES if pattern.search(name)), UNKNOWN)
