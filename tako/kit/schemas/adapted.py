"""One schema for one vendor, remembered."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tako.kit.schemas.rewrite import Rewriter
from tako.kit.schemas.rules import Unfit
from tako.schema.normal_form import Schema, plain

if TYPE_CHECKING:
    from tako.kit.schemas.rules import Rules


class Adapted(Struct, frozen=True):
    """A schema as a vendor takes it.

    ``losses`` name what of it is lost, ``changes`` what goes out in a form that means the same. ``unfit`` says why the
    vendor can't take it at all, "" if it can; the schema is then as it was. Treat ``schema`` as read-only: it's shared.
    """

    schema: Schema
    losses: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    unfit: str = ""


def adapted(schema: Schema, rules: Rules) -> Adapted:
    """Return a schema as the rules want it. The schema stays unchanged, and is returned itself if it fits already.

    ::

        adapted(schema, OPENAI.output).schema     # as strict mode wants it
    """
    return changed(schema, rules) or Adapted(schema)


def changed(schema: Schema, rules: Rules) -> Adapted | None:
    """Return a schema as the rules want it, None if it fits as it is."""
    try:
        found = _remembered(_encode(schema), rules)
    except (TypeError, ValueError, RecursionError, OverflowError):  # it isn't JSON; encoding the body reports it
        return None
    if found is None or found.schema:
        return found
    return Adapted(schema, found.losses, found.changes, found.unfit)


_encode = msgspec.json.Encoder().encode


@lru_cache(512)
def _remembered(encoded: bytes, rules: Rules) -> Adapted | None:
    """Adapt a schema, None if it fits. One that goes out as it is isn't kept: the caller's own does."""
    schema: Schema = msgspec.json.decode(encoded)
    rewriter = Rewriter(plain(schema), rules)
    try:
        made = rewriter.schema()
    except Unfit as error:
        return Adapted({}, unfit=str(error))
    except (RecursionError, TypeError, ValueError, AttributeError):  # words that hold what they can't hold
        return Adapted({}, unfit="it isn't a JSON Schema that tako can read")
    if made == schema and not rewriter.losses and not rewriter.changes:
        return None
    return Adapted({} if made == schema else made, tuple(rewriter.losses), tuple(rewriter.changes))
