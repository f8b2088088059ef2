"""What the models of Anthropic take, by name (https://platform.claude.com/docs, pages "Thinking" and "Models").

As of November 2026. Models up to Claude 4.6 sample, and think within a budget; from 4.6 on they think adaptively, as
much as an effort allows; from 4.7 on they take no budget and no sampling parameters, whatever the API version.
"""

from __future__ import annotations

import re

from msgspec import Struct


class Model(Struct, frozen=True, kw_only=True):
    """The abilities that decide what is sent. Of names that are not Anthropic's nothing is known: they get it all.

    ``budget``: thinks within a budget of tokens; ``effort``: thinks adaptively, by effort; ``samples``: temperature,
    top_p and top_k are taken; ``quiet``: leaves the text of its thinking out unless it is asked for.
    """

    budget: bool = True
    effort: bool = True
    samples: bool = True
    quiet: bool = False


UNKNOWN = Model()
CURRENT = Model(budget=False, samples=False, quiet=True)
FAMILIES = (
    (re.compile(r"claude-(instant|[12]\b|3-(opus|sonnet|haiku)|3[-.]5)"), Model(budget=False, effort=False)),
    (re.compile(r"claude-3[-.]7"), Model(effort=False)),
    (re.compile(r"claude-(opus|sonnet)-4[-.]6"), Model()),
    (re.compile(r"claude-opus-4[-.][78]"), CURRENT),
    (re.compile(r"claude-(opus|sonnet|haiku)-4"), Model(effort=False)),
    (re.compile(r"claude-"), CURRENT),
)
"""The first that is found in a model's name decides; what is not listed is newer than this table."""


def model_of(name: str) -> Model:
    """Return what a model takes; prefixes of gateways and clouds ("anthropic.", "us.") do not matter."""
    return next((model for pattern, model in FAMILIES if pattern.search(name)), UNKNOWN)
