"""What a vendor takes of JSON Schema, as data."""

from __future__ import annotations

from msgspec import Struct


class UnsupportedSchema(Exception):  # noqa: N818 - no failure: what to do instead is known
    """A schema that the rules don't allow; the message says why."""


class Rules(Struct, frozen=True, eq=False, kw_only=True):
    """What a vendor takes in one place: in tools, in strict tools, in the format of a reply.

    - ``keywords``: the keywords that it accepts, None if it accepts all but those in ``unsupported``. ``formats``: of
      strings, None if it accepts all.
    - ``object_root``: the root is made an object. ``only_objects``: it has to be one already. ``root_properties``: it
      has properties, if only an empty object of them. ``not_in_root``: keywords that are accepted anywhere but there.
      ``root_keywords``: the only keywords of the root, None if there is no such list.
    - ``closed``: every object says ``additionalProperties: false``. ``all_required``: every object requires all its
      properties, so that optional ones become ones that may be null.
    - ``typed``: every schema has a type, ``anyOf`` or ``$ref``. ``has_items``: every array says what is in it.
    - ``recursive``: True, False, or "optional", if only properties that aren't required may lead back.
    - ``ref_alone``: nothing stands beside a ``$ref``. ``inline``: there are no references at all.
    - ``known_required``: ``required`` names nothing but properties. ``max_min_items``: the largest ``minItems``.
    - ``max_properties``, ``max_enum``, ``max_depth``: limits of the whole schema, None if there are none.
    """

    keywords: frozenset[str] | None = None
    unsupported: frozenset[str] = frozenset()
    formats: frozenset[str] | None = None
    object_root: bool = False
    only_objects: bool = False
    root_properties: bool = False
    not_in_root: frozenset[str] = frozenset()
    root_keywords: frozenset[str] | None = None
    closed: bool = False
    all_required: bool = False
    typed: bool = False
    has_items: bool = False
    recursive: bool | str = True
    ref_alone: bool = False
    inline: bool = False
    known_required: bool = False
    max_min_items: int | None = None
    max_properties: int | None = None
    max_enum: int | None = None
    max_depth: int | None = None

    def accepts(self, keyword: str) -> bool:
        """Whether a keyword is accepted."""
        return keyword not in self.unsupported if self.keywords is None else keyword in self.keywords
