"""A plugin with one bug at a time in what it says and reads: the suite's named check finds it, for the right reason."""

from __future__ import annotations

import pytest

from . import keys, replies, requests
from .acme import Plugin, faults_of, judged


@pytest.mark.parametrize("fault", faults_of(replies, requests, keys), ids=lambda fault: fault.__name__)
def test_a_fault_is_caught_by_its_check(fault: type[Plugin]) -> None:
    outcome, others = judged(fault)
    assert outcome.startswith("failed: ")
    assert fault.message in outcome
    assert others == set(fault.also)
