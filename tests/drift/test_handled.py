"""Words that are declared as handled mean something in the code, and those that mean something are declared so."""

from __future__ import annotations

import pytest

from tests.drift.declared import files, sections

VALUES = [
    ("completions", "finish reasons", "tako.kit.finish_reasons:FINISH_REASONS"),
    ("responses", "codes of a failure", "tako.kit.failures:CODES"),
    ("tako_anthropic", "stop reasons", "tako.kit.messages.reply:FINISH_REASONS"),
    ("tako_anthropic", "types of an error", "tako.kit.failures:CODES"),
    ("tako_anthropic", "codes of an error", "tako.kit.failures:LASTING"),
    ("tako_bedrock", "stop reasons", "tako_bedrock.reply:FINISH_REASONS"),
    ("tako_mistral", "finish reasons", "tako.kit.finish_reasons:FINISH_REASONS"),
    ("tako_vertex", "finish reasons", "tako_vertex.wire:FINISH_REASONS"),
]


@pytest.mark.parametrize(("package", "names", "path"), VALUES, ids=[f"{one[0]} {one[1]}" for one in VALUES])
def test_a_word_is_declared_as_what_it_is(package: str, names: str, path: str) -> None:
    module, _, name = path.partition(":")
    known = set(getattr(pytest.importorskip(module), name))
    [file] = [file for file in files() if file.parent.name == package]
    [section] = [section for section in sections(file) if section["names"] == names]
    assert set(section["handled"]) - known <= {"OTHER"}, "declared, but the code doesn't know it"
    assert not known & set(section.get("opaque", ())), "the code knows it: declare it as handled"
