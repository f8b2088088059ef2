"""Tables of models: a plugin ships them as ``models.toml`` beside its ``__init__``, with dates and sources.

::

    source = "https://example.com/docs/models"   # of all rows that name no other
    date = 2026-11-22                            # when the values were looked up there

    [sources]                                    # of single fields that have one of their own
    supports_documents = "https://example.com/docs/pdf"

    [life]                                       # where the days on which models are turned off are from, and when
    source = "https://example.com/docs/deprecations"
    date = 2026-11-22

    [default]                                    # of models that the table does not know; assumptions, not facts
    supports_tools = true

    [[model]]
    id = "acme-2"                                # also of acme-2-2026-01-31, acme-2-latest, acme-2@001
    max_context_tokens = 200_000
    supports_vision = false
    usd_per_input_mtok = 1.25
    retires = 2027-06-30                         # the day on which the vendor turns it off
    replacement = "acme-3"                       # what the vendor recommends instead
    prices_through = 2026-12-31                  # the last day of introductory prices; none is known after it

A ``prices.toml`` beside it may have the prices of its models, with a source and a date of their own. They stand over
those of ``models.toml``, so that they can be generated.

The names are those of ``Capabilities``. What a row leaves out is the default's; a price that is not known is left out.
"""

from __future__ import annotations

import re
from datetime import date as Date  # noqa: N812 - a field is called date
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from tako.capabilities import Capabilities
from tako.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
_VERSION = re.compile(
    r"(?:[-@:](?:\d{4}-\d\d-\d\d|\d{3,8}|v\d+(?::\d+)?|latest|default|stable|(?:preview|exp)(?:-\d\d-\d{2,4})?)|:\d+k)*"
)
"""What may follow a row's id: dates and versions, aliases. Any other word makes it another model."""


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a table says of models."""

    source: str = ""
    date: Date | None = None
    max_context_tokens: int | None = None
    supports_streaming: bool | None = None
    supports_tools: bool | None = None
    supports_vision: bool | None = None
    supports_json_mode: bool | None = None
    supports_documents: bool | None = None
    supports_audio: bool | None = None
    supports_video: bool | None = None
    usd_per_input_mtok: float | None = None
    usd_per_output_mtok: float | None = None
    usd_per_cached_mtok: float | None = None
    usd_per_cache_write_mtok: float | None = None
    usd_per_cache_write_1h_mtok: float | None = None
    usd_per_long_input_mtok: float | None = None
    usd_per_long_output_mtok: float | None = None
    usd_per_long_cached_mtok: float | None = None
    usd_per_long_cache_write_mtok: float | None = None
    usd_per_web_search: float | None = None
    prices_up_to_tokens: int | None = None
    prices_through: Date | None = None
    retires: Date | None = None
    replacement: str | None = None

    def values(self, today: Date) -> dict[str, Any]:
        """Return the fields of Capabilities that it has; prices that have lapsed are none."""
        excluded = ROW_FIELDS if self.prices_through is None or today <= self.prices_through else (*ROW_FIELDS, *PRICES)
        return {name: value for name, value in asdict(self).items() if value is not None and name not in excluded}


class Row(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a table says of one model, and its versions."""

    id: str
    suggested: bool = True
    """Whether a message may suggest it; False for another maker's model, which that maker's provider has, too."""


ROW_FIELDS = ("id", "suggested", "source", "date", "prices_through")
PRICES = tuple(name for name in Entry.__struct_fields__ if name.startswith(("usd_", "prices_")))
ABILITIES = (
    "supports_streaming",
    "supports_tools",
    "supports_vision",
    "supports_json_mode",
    "supports_documents",
    "supports_audio",
    "supports_video",
)
LIFE = ("retires", "replacement")


class Life(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the days on which models are turned off are from, and when they were looked up there."""

    source: str = ""
    date: Date | None = None


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ``prices.toml``: the prices of models of the table, with their source and its date."""

    source: str = ""
    date: Date | None = None
    model: list[Row] = []


class Sheet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file."""

    source: str = ""
    date: Date | None = None
    sources: dict[str, str] = {}
    life: Life = Life()
    default: Entry = Entry()
    model: list[Row] = []


class ModelTable:
    """The table of one package, read when it is first asked: ``TABLE = ModelTable(__name__)``."""

    def __init__(self, package: str) -> None:
        self.package = package
        self._cache: dict[str, Capabilities] = {}

    def find(self, model: str) -> Capabilities:
        """Return what the table says of a model: its row, by the longest id that fits, over the default.

        ``origins`` names the row, its date and its source; what is only the default's has "". Raises PluginError where
        the file is broken.
        """
        if model not in self._cache:
            row = self.row(model)
            today = Date.today()  # noqa: DTZ011 - vendors name a day, and no zone of time
            values = row.values(today) if row is not None else {}
            origins_of_row = {name: self._origin(row, name) for name in values} if row is not None else {}
            assumed = {name: value for name, value in self.sheet.default.values(today).items() if name not in values}
            origins = {**dict.fromkeys(ABILITIES, ""), **origins_of_row}
            self._cache[model] = Capabilities(**assumed, **values, origins=origins)
        return self._cache[model]

    def _origin(self, row: Row, name: str) -> str:
        """Say where a value is from."""
        day, source = row.date, self.sheet.sources.get(name, row.source)
        if name in LIFE:
            day, source = self.life.date, self.life.source
        elif name in PRICES and row.id in self._priced:
            day, source = self.prices.date, self.prices.source
        return f"{self._owner}: {row.id} ({day}, {source})"

    def row(self, model: str) -> Row | None:
        """Return the row of a model, or None where the table does not know it."""
        name = model.lower()
        rows = [row for row in self.rows if name.startswith(row.id) and _VERSION.fullmatch(name, len(row.id))]
        return max(rows, key=lambda row: len(row.id), default=None)

    @property
    def life(self) -> Life:
        """Where the days on which models are turned off are from."""
        return self.sheet.life

    @cached_property
    def rows(self) -> list[Row]:
        """All rows, each with its source and its date."""
        sheet = self.sheet
        rows = [replace(row, source=row.source or sheet.source, date=row.date or sheet.date) for row in sheet.model]
        return [replace(row, **self._priced.get(row.id, {})) for row in rows]

    @cached_property
    def prices(self) -> Prices:
        """The prices that stand in a file of their own."""
        return self._read("prices.toml", Prices) or Prices()

    @cached_property
    def _priced(self) -> dict[str, dict[str, Any]]:
        """Prices by model, with the last day on which they hold."""
        names = (*PRICES, "prices_through")
        fields = {row.id: {name: getattr(row, name) for name in names} for row in self.prices.model}
        return {id: {name: value for name, value in row.items() if value is not None} for id, row in fields.items()}

    @cached_property
    def sheet(self) -> Sheet:
        """The ``models.toml`` as it is."""
        sheet = self._read("models.toml", Sheet)
        if sheet is None:
            raise PluginError(f"{self.package}: models.toml is missing")
        return sheet

    def _read(self, name: str, kind: type[T]) -> T | None:
        """Read a file of the package, None if there isn't one. Raises PluginError if it's broken."""
        import tomllib
        from importlib.resources import files

        try:
            text = files(self.package).joinpath(name).read_text(encoding="utf-8")
            return msgspec.convert(tomllib.loads(text), kind)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            raise PluginError(f"{self.package}: {name} is broken: {error}") from error

    @cached_property
    def _owner(self) -> str:
        from importlib.metadata import PackageNotFoundError, version

        name = self.package.replace("_", "-")
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            return name


def refine(capabilities: Capabilities, discovered: Mapping[str, Any], origin: str) -> Capabilities:
    """Put what a server said over what a table says."""
    return (
        replace(capabilities, **discovered, origins={**capabilities.origins, **dict.fromkeys(discovered, origin)})
        if discovered
        else capabilities
    )
