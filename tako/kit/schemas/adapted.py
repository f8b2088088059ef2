"""One schema for one vendor, remembered."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tako.kit.schemas.rewrite import Rewriter
from tako.kit.schemas.rules import UnsupportedSchema
from tako.schema.normal_form import Schema, normalize

if TYPE_CHECKING:
    from tako.kit.schemas.rules import Rules


class AdaptedSchema(Struct, frozen=True):
    """A schema as a vendor takes it.

    ``losses`` name what is lost, ``changes`` what goes out in a form that means the same. ``reason_unfit`` says why the
    vendor can't take it at all, "" if it can; the schema is unchanged then. Treat ``schema`` as read-only: it's
    shared.
    """

    schema: Schema
    losses: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    reason_unfit: str = ""


def adapt_schema(schema: Schema, rules: Rules) -> AdaptedSchema:
    """Return a schema as the rules want it. The schema stays unchanged, and is returned itself if it fits already.

    ::

        adapt_schema(schema, OPENAI.output).schema     # as strict mode wants it
    """
    return adapt_if_needed(schema, rules) or AdaptedSchema(schema)


def adapt_if_needed(schema: Schema, rules: Rules) -> AdaptedSchema | None:
    """Return a schema as the rules want it, None if it fits as it is."""
    try:
        cached = _adapt_encoded(_encode(schema), rules)
    except (TypeError, ValueError, RecursionError, OverflowError):  # it isn't JSON; encoding the body reports it
        return None
    if cached is None or cached.schema:
        return cached
    return AdaptedSchema(schema, cached.losses, cached.changes, cached.reason_unfit)


_encode = msgspec.json.Encoder().encode


@lru_cache(512)
def _adapt_encoded(encoded: bytes, rules: Rules) -> AdaptedSchema | None:
    """Adapt a schema, None if it fits. One that goes out as it is isn't kept: the caller's own does."""
    schema: Schema = msgspec.json.decode(encoded)
    rewriter = Rewriter(normalize(schema), rules)
    try:
        rewritten = rewriter.schema()
    except UnsupportedSchema as error:
        return AdaptedSchema({}, reason_unfit=str(error))
    except (RecursionError, TypeError, ValueError, AttributeError):  # words that hold what they can't hold
        return AdaptedSchema({}, reason_unfit="it isn't a JSON Schema that tako can read")
    if rewritten == schema and not rewriter.losses and not rewriter.changes:
        return None
    return AdaptedSchema({} if rewritten == schema else rewritten, tuple(rewriter.losses), tuple(rewriter.changes))
