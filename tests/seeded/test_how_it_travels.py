"""A plugin with one bug at a time in how its calls travel: the suite's named check finds it, for the right reason."""

from __future__ import annotations

import pytest

from tako.testing.suite import CHECKS, run_suite

from . import connections, errors, keys, replies, requests
from .acme import Plugin, faults_of, judged, suite_of


@pytest.mark.parametrize("fault", faults_of(connections, errors), ids=lambda fault: fault.__name__)
def test_a_fault_is_caught_by_its_check(fault: type[Plugin]) -> None:
    outcome, others = judged(fault)
    assert outcome.startswith("failed: ")
    assert fault.message in outcome
    assert others == set(fault.also)


def test_the_plugin_without_a_fault_passes_all() -> None:
    report = run_suite(suite_of(Plugin()))
    failed = {name: report.results[name].reason for name in report.named("failed")}
    assert failed == {}
    assert report.named("not applicable") == ["blocks_stay_apart"]
    assert len(report.results) == len(CHECKS)


def test_the_faults_are_many_and_spread() -> None:
    faults = faults_of(connections, errors, keys, replies, requests)
    assert len(faults) >= 67
    assert len({fault.caught_by for fault in faults}) >= 30
