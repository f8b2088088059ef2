"""What tako declares of the names of vendors' SDKs, in a ``sdk.toml`` beside the code, and how the two differ."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.drift.walk import names_in

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
WAYS = ("handled", "opaque", "extra", "left_out")
"""What tako does with a name: says or reads it, keeps it in the vendor's own shape, leaves it to ``extra``, nothing."""


@dataclass
class Drift:
    """How one file's declarations differ from an SDK."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0))
    unknown: list[str] = field(default_factory=list[str])
    """Names that the SDK has and nobody declared."""
    gone: list[str] = field(default_factory=list[str])
    """Names and types that were declared and that the SDK doesn't have."""

    def __str__(self) -> str:
        lines = [f"unknown: {name}" for name in self.unknown] + [f"gone: {name}" for name in self.gone]
        return "\n".join([", ".join(f"{count} {way}" for way, count in self.counts.items()), *lines])


def files() -> list[Path]:
    """Return the files of declarations."""
    return sorted([*ROOT.glob("tako/**/sdk.toml"), *ROOT.glob("plugins/*/tako_*/sdk.toml")])


def sections(file: Path) -> Iterator[dict[str, Any]]:
    """Yield a file's sections: which names, of which types, and what tako does with each."""
    yield from tomllib.loads(file.read_text(encoding="utf-8"))["sdk"]


def packages(file: Path) -> set[str]:
    """Return the modules that an SDK must have for a file to be compared."""
    kinds = {(section["read"], path) for section in sections(file) for path in section["types"]}
    return {"botocore" if read in ("shape", "errors") else path.split(":")[0].split(".")[0] for read, path in kinds}


def drift_of(file: Path) -> Drift:
    """Compare a file with the SDK that is installed."""
    drift = Drift()
    for section in sections(file):
        declared = {name: way for way in WAYS for name in section.get(way, ())}
        for way in declared.values():
            drift.counts[way] += 1
        known = set(_names(section, drift))
        passed_over = {name for name in known - declared.keys() if _is_inside(name, declared, known)}
        drift.unknown += [f"{section['names']}: {name}" for name in sorted(known - declared.keys() - passed_over)]
        drift.gone += [f"{section['names']}: {name}" for name in sorted(declared.keys() - known)]
    return drift


def _names(section: dict[str, Any], drift: Drift) -> Iterator[str]:
    for path in section["types"]:
        try:
            yield from names_in(path, section["read"])
        except LookupError as error:
            drift.gone.append(f"{section['names']}: {error.args[0]}")


def _is_inside(name: str, declared: dict[str, str], known: set[str]) -> bool:
    """Whether a name is a field of a kind that tako doesn't look into, or that is unknown itself."""
    kind = name.rpartition(".")[0]
    return kind in known and declared.get(kind) != "handled"
