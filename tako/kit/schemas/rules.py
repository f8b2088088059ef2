"""What a vendor takes of JSON Schema, as data."""

from __future__ import annotations

from msgspec import Struct


class Unfit(Exception):  # noqa: N818 - no failure: what to do instead is known
    """A schema that can't be written as the rules want it; the text says what of it."""


class Rules(Struct, frozen=True, eq=False, kw_only=True):
    """What a vendor takes in one place: in tools, in strict tools, in the format of a reply.

    - ``words``: the words that it takes, None if it takes all but those in ``without``. ``formats``: of strings, None
      if it takes all.
    - ``object_root``: the root is made an object. ``only_objects``: it has to be one already. ``root_properties``: it
      has properties, if none. ``not_root``: words that are taken anywhere but there. ``root_words``: the only words
      of the root, None if there is no such list.
    - ``closed``: every object says ``additionalProperties: false``. ``all_required``: and requires all its properties,
      so that optional ones become ones that may be null.
    - ``typed``: every schema has a type, ``anyOf`` or ``$ref``. ``has_items``: every array says what is in it.
    - ``recursive``: True, False, or "optional", if only properties that aren't required may lead back.
    - ``ref_alone``: nothing stands beside a ``$ref``. ``inline``: there are no references at all.
    - ``known_required``: ``required`` names nothing but properties. ``most_min_items``: the largest ``minItems``.
    - ``most_properties``, ``most_enum``, ``deepest``: limits of the whole schema, None if there are none.
    """

    words: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    formats: frozenset[str] | None = None
    object_root: bool = False
    only_objects: bool = False
    root_properties: bool = False
    not_root: frozenset[str] = frozenset()
    root_words: frozenset[str] | None = None
    closed: bool = False
    all_required: bool = False
    typed: bool = False
    has_items: bool = False
    recursive: bool | str = True
    ref_alone: bool = False
    inline: bool = False
    known_required: bool = False
    most_min_items: int | None = None
    most_properties: int | None = None
    most_enum: int | None = None
    deepest: int | None = None

    def takes(self, word: str) -> bool:
        """Whether a word is taken."""
        return word not in self.without if self.words is None else word in self.words
