"""One model has the same rules in every spelling, and by every provider that reaches it."""

from __future__ import annotations

import re

import msgspec
import pytest

from tako.kit.families import UNKNOWN, Converse, bare_name, nearest, rules_of
from tako.kit.families.rules import families

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:"


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("claude-opus-4-5-20251101", "claude-opus-4.5-20251101"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4.5-20250929-v1:0"),
        (f"{PROFILE}inference-profile/eu.anthropic.claude-haiku-4-5-v1:0", "claude-haiku-4.5-v1:0"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-7-v1", "claude-opus-4.7-v1"),
        (f"{PROFILE}custom-model/anthropic.claude-3-haiku-20240307-v1:0:200k/abc", "claude-3-haiku-20240307-v1:0:200k"),
        ("anthropic/claude-opus-4.7", "claude-opus-4.7"),
        ("claude-opus-4-1@20250805", "claude-opus-4.1@20250805"),
        ("databricks-claude-3-7-sonnet", "claude-3.7-sonnet"),
        ("anthropic--claude-4.5-sonnet", "claude-4.5-sonnet"),
        ("ft:gpt-4o-mini-2024-07-18:acme::Bx1", "gpt-4o-mini-2024-07-18"),
        ("ft:o4-mini-2025-04-16:acme/team::Bx1", "o4-mini-2025-04-16"),
        ("global.openai.gpt-6-1-sol", "gpt-6.1-sol"),
        ("databricks-gpt-5-1", "gpt-5.1"),
        ("databricks-meta-llama-3-3-70b-instruct", "llama-3.3-70b-instruct"),
        ("meta.llama3-8b-instruct-v1:0", "llama3-8b-instruct-v1:0"),
        ("publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("databricks-gemini-2-5-flash", "gemini-2.5-flash"),
        ("us-gov.amazon.nova-2-lite-v1:0", "nova-2-lite-v1:0"),
        (f"{PROFILE}application-inference-profile/o1abc", ""),
        (f"{PROFILE}provisioned-model/abc", ""),
        ("projects/p/locations/l/endpoints/123", ""),
    ],
)
def test_a_name_is_recognised_behind_what_stands_around_it(name: str, bare: str) -> None:
    assert bare_name(name) == bare


@pytest.mark.parametrize(
    "spelling",
    [
        "claude-opus-4-7",
        "Claude-Opus-4.7",
        "us.anthropic.claude-opus-4-7-v1:0",
        "anthropic/claude-opus-4.7",
        "databricks-claude-opus-4-7",
        "claude-opus-4-7@20260416",
    ],
)
def test_every_spelling_has_the_same_rules(spelling: str) -> None:
    assert rules_of(spelling) == rules_of("claude-opus-4-7")


@pytest.mark.parametrize("name", ["m", "MiniMax-M3", "", f"{PROFILE}application-inference-profile/abc12xyz"])
def test_of_other_models_nothing_is_known(name: str) -> None:
    assert rules_of(name) is UNKNOWN


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("deepseek.v3-v1:0", "deepseek"),
        ("deepseek-r1-distill-llama-70b", "deepseek"),
        ("us.meta.llama4-maverick-17b-instruct-v1:0", "llama"),
        ("mistral.pixtral-large-2502-v1:0", "mistral"),
        ("openai.gpt-oss-120b-1:0", "gpt"),
        ("o3-mini", "gpt"),
        ("us.writer.palmyra-x4-v1:0", "palmyra"),
        ("cohere.command-r-plus-v1:0", "command"),
        ("qwen.qwen3-coder-480b-a35b-v1:0", "qwen"),
    ],
)
def test_families(name: str, family: str) -> None:
    assert rules_of(name).family == family


@pytest.mark.parametrize("alias", ["gemini-flash-latest", "gemini-pro-latest", "claude-opus-latest"])
def test_an_alias_of_the_newest_has_its_rules(alias: str) -> None:
    newest = {"gemini": "gemini-3.8-flash", "claude": "claude-opus-5-5"}
    assert rules_of(alias) == rules_of(newest[rules_of(alias).family])


def test_a_model_that_is_newer_than_the_file_has_the_rules_of_the_newest() -> None:
    assert rules_of("claude-opus-7") == rules_of("claude-opus-5-5")
    assert rules_of("gemini-4-flash") == rules_of("gemini-3.8-flash")


def test_every_pattern_and_every_row_can_be_read() -> None:
    for family in families():
        for pattern in (family.match, *(row.match for row in family.model)):
            re.compile(pattern)
        for row in family.model:
            assert set(row.rules) <= set(UNKNOWN.__struct_fields__), (family.name, row.match)
            msgspec.convert(row.rules.get("converse", {}), Converse)


def test_the_nearest_effort_is_as_much_as_is_wanted_or_the_most_there_is() -> None:
    efforts = ("low", "medium", "high")
    requested = ("none", "minimal", "low", "high", "xhigh", "max")
    assert [nearest(effort, efforts) for effort in requested] == ["low", "low", "low", "high", "high", "high"]
