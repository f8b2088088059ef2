"""The conformance suite: every promise of tako's design, driven against a provider over loopback.

An author's test module, whole::

    class TestAcme(ProviderSuite):
        dialect = "completions"

        def provider(self, base_url, **options):
            return Acme("acme-1", api_key=self.secret, base_url=base_url, **options)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tako.testing.suite.check import ABILITIES, CHECKS, Check, CheckFailed, NotApplicable
from tako.testing.suite.concurrency import Concurrency
from tako.testing.suite.connections import Connections
from tako.testing.suite.conversations import Conversations
from tako.testing.suite.errors import Errors
from tako.testing.suite.files import Files
from tako.testing.suite.going_back import GoingBack
from tako.testing.suite.harness import SECRET
from tako.testing.suite.images import Images
from tako.testing.suite.limits import Limits
from tako.testing.suite.replies import Replies
from tako.testing.suite.retrying import Retrying
from tako.testing.suite.secrets import Secrets
from tako.testing.suite.tools import Tools
from tako.testing.suite.truncation import Truncation
from tako.testing.suite.values import Values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tako.testing.summary import Report

__all__ = ["ABILITIES", "CHECKS", "SECRET", "Check", "CheckFailed", "NotApplicable", "ProviderSuite", "run_suite"]


class ProviderSuite(
    Replies,
    Tools,
    Conversations,
    GoingBack,
    Images,
    Files,
    Errors,
    Truncation,
    Limits,
    Connections,
    Retrying,
    Secrets,
    Concurrency,
    Values,
):
    """Subclass it as ``class TestAcme(ProviderSuite)``: say the ``dialect``, write ``provider``, and that is all.

    ``not_applicable`` names abilities (`ABILITIES`) that the provider lacks, or single checks, each with the reason.
    """


def run_suite(suite: type[ProviderSuite], only: Iterable[str] | None = None) -> Report:
    """Run all checks (or those of these names) without pytest, and return the report; nothing is raised."""
    names = CHECKS if only is None else only
    for name in names:
        try:
            getattr(suite(), f"test_{name}")()
        except (Exception, NotApplicable):  # noqa: BLE001, S112 - the report has it
            continue
    return suite.report
