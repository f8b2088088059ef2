"""What a suite has found: outcomes of checks, and what a provider was seen to do. As JSON, and as Markdown."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIGNS = {"passed": "yes", "failed": "**NO**", "not applicable": "n/a"}
REPORTS: list[Report] = []
"""Reports of this process, in the order in which their suites were defined."""


class Result(Struct, frozen=True):
    """The outcome of one check: "passed", "failed" or "not applicable"; ``reason`` is of the latter two."""

    check: str
    group: str
    promise: str
    outcome: str
    reason: str = ""
    seconds: float = 0.0


class Report(Struct):
    """All of one suite. ``observed`` is what the provider was seen to do, by a name for it."""

    suite: str
    provider: str = ""
    dialect: str = ""
    results: dict[str, Result] = {}
    observed: dict[str, str] = {}

    def add(self, result: Result) -> None:
        """Take an outcome in; a later one of the same check replaces it."""
        self.results[result.check] = result
        if not any(known is self for known in REPORTS):
            REPORTS.append(self)

    def named(self, outcome: str) -> list[str]:
        """Name the checks of an outcome."""
        return [result.check for result in self.results.values() if result.outcome == outcome]

    @property
    def counts(self) -> dict[str, int]:
        """How many checks had which outcome."""
        outcomes = Counter(result.outcome for result in self.results.values())
        return {outcome: outcomes[outcome] for outcome in SIGNS}

    @property
    def seconds(self) -> float:
        """How long all of it took."""
        return sum(result.seconds for result in self.results.values())


def as_json(reports: Sequence[Report]) -> bytes:
    """Write reports as JSON: a list of objects with ``counts``, ``results`` and ``observed``."""
    objects = [{**_plain(report), "counts": report.counts, "seconds": round(report.seconds, 3)} for report in reports]
    return msgspec.json.format(msgspec.json.encode(objects), indent=2) + b"\n"


def as_markdown(reports: Sequence[Report]) -> str:
    """Write reports as Markdown: one line a provider, then what each was seen to do."""
    lines = ["| provider | dialect | passed | failed | not applicable | seconds |", "|---|---|---|---|---|---|"]
    for report in reports:
        counts = " | ".join(str(count) for count in report.counts.values())
        lines.append(f"| {report.provider or report.suite} | {report.dialect} | {counts} | {report.seconds:.1f} |")
    for report in reports:
        lines += ["", f"## {report.provider or report.suite}", ""]
        lines += [f"- {name}: {value}" for name, value in sorted(report.observed.items())]
        lines += ["", "| check | holds | seconds | promise |", "|---|---|---|---|"]
        for result in report.results.values():
            reason = f" ({_cell(result.reason)})" if result.reason else ""
            outcome = f"{SIGNS[result.outcome]}{reason}"
            lines.append(f"| {result.check} | {outcome} | {result.seconds:.2f} | {_cell(result.promise)} |")
    return "\n".join(lines) + "\n"


def write(path: Path, reports: Sequence[Report]) -> None:
    """Write reports to a file, as JSON where its name ends so, else as Markdown."""
    text = as_json(reports).decode() if path.suffix == ".json" else as_markdown(reports)
    path.write_text(text, encoding="utf-8")


def _plain(report: Report) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(report)
    return {**plain, "results": list(plain["results"].values())}


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:300]
