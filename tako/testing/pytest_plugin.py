"""The pytest plugin: the suite on an installed provider, its summary, and plugins isolated for a test.

``pytest --tako-provider=acme:acme-1`` runs the suite on whatever is installed by that name, ``--tako-summary=FILE``
writes what suites found. Nothing of tako is imported before one of these is used.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from tako.testing.dialects import Dialect
    from tako.testing.plugins import Isolated

INSTALLED = Path(__file__).with_name("installed.py")
CHOSEN: dict[str, Any] = {}
"""The options of this session, for the suite of an installed provider."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("tako", "conformance of tako providers")
    group.addoption("--tako-provider", metavar="ID", help="run the conformance suite on this installed provider")
    group.addoption(
        "--tako-dialect",
        metavar="NAME",
        help="the wire that it speaks: completions, responses, messages, converse, gemini or ollama, or MODULE:CLASS"
        ' for your own Dialect (its class may say it: conformance = "completions")',
    )
    group.addoption(
        "--tako-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the provider; {url} in it is the scripted server's address, {key} a key",
    )
    group.addoption(
        "--tako-not-applicable",
        action="append",
        default=[],
        metavar="NAME=REASON",
        help="an ability that it lacks, or a check that doesn't apply, and why",
    )
    group.addoption("--tako-summary", metavar="FILE", help="write what suites found to FILE (.json or .md)")


def pytest_configure(config: pytest.Config) -> None:
    """Put the suite of the installed provider among what is to be collected; alone, where no paths are given."""
    provider = config.getoption("tako_provider")
    if provider:
        CHOSEN.update(
            provider=provider,
            dialect=_dialect(config.getoption("tako_dialect")),
            options=_pairs(config.getoption("tako_option"), "--tako-option"),
            not_applicable=_pairs(config.getoption("tako_not_applicable"), "--tako-not-applicable"),
        )
        paths = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
        config.args = [*paths, str(INSTALLED)]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Write the summary, and print it for a provider that was asked for."""
    path = config.getoption("tako_summary")
    if not (path or CHOSEN):
        return
    from tako.testing import summary

    if path:
        summary.write(Path(path), summary.REPORTS)
    for report in summary.REPORTS if CHOSEN else ():
        counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items())
        terminalreporter.write_line(f"tako: {report.provider} ({report.dialect}): {counts} in {report.seconds:.1f} s")
        for name, value in sorted(report.observed.items()):
            terminalreporter.write_line(f"  {name}: {value}")


@pytest.fixture
def tako_plugins() -> Generator[Isolated, None, None]:
    """Plugins that are registered here are gone when the test is over; see `tako.testing.plugins.Isolated`."""
    from tako.testing.plugins import isolated

    with isolated() as plugins:
        yield plugins


def _dialect(name: str | None) -> Dialect | None:
    """Find a dialect. Modules in the current folder can be imported, as with ``python -m pytest``."""
    if name is None:
        return None
    from tako.testing.dialects import find_dialect

    sys.path.insert(0, str(Path.cwd()))
    try:
        return find_dialect(name)
    except Exception as error:
        raise pytest.UsageError(f"--tako-dialect={name}: {error}") from error
    finally:
        del sys.path[0]


def _pairs(values: Any, option: str) -> dict[str, str]:
    for pair in values:
        if "=" not in pair:
            raise pytest.UsageError(f"{option}={pair}: NAME=VALUE is expected")
    return dict(pair.split("=", 1) for pair in values)
