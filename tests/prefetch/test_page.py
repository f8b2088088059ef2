"""The page lists the rules that exist, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from tako.kit.prefetch import RULES
from tako.url_prefetch import UrlPrefetch

from .attack_addresses import CASES as ADDRESSES
from .attack_responses import CASES as ANSWERS
from .attack_urls import CASES as URLS

PAGE = (Path(__file__).parents[2] / "docs" / "prefetch.md").read_text(encoding="utf-8")


def test_every_rule_is_on_the_page_and_every_rule_of_the_page_exists() -> None:
    table = PAGE.split("| rule | refuses |")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == RULES


def test_every_option_is_on_the_page() -> None:
    table = PAGE.split("| option of `UrlPrefetch` |")[1].split("\n\n")[0]
    options = [field.name for field in msgspec.structs.fields(UrlPrefetch)]
    assert re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE) == options


def test_every_rule_is_attacked() -> None:
    attacked = {case.rule for case in (*ADDRESSES, *ANSWERS, *URLS)}
    assert {rule for rule in RULES if rule != "tls"} <= attacked, "tls is tested over real sockets"
