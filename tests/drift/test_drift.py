"""The guard against drift: what tako does with each name of a vendor's SDK is declared, and nothing is unknown.

``.ci/run`` holds the declarations against the versions in ``requirements.txt``. Without an SDK its test is skipped.
"""

from __future__ import annotations

import re
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import pytest

from tests.drift.declared import ROOT, WAYS, drift_of, files, packages, sections
from tests.drift.walk import names_in

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = dict(re.findall(r"(?m)^([\w-]+)==(\S+)$", Path(__file__).with_name("requirements.txt").read_text()))
FILES = pytest.mark.parametrize("file", files(), ids=lambda file: str(file.parent.name))


class Text(TypedDict):
    """A block that tako handles."""

    type: Literal["text"]
    text: Annotated[str, "the text"]


class Beam(TypedDict):
    """A block that is kept as it is."""

    type: Literal["beam"]
    depth: int


class Hologram(TypedDict):
    """A block of next week."""

    type: Literal["hologram"]
    light: int


Block = Text | Beam
Blocks = list[Block | Hologram]
Stop = Literal["end", "length"]
DECLARED = """
[[sdk]]
names = "blocks"
read = "tagged"
types = ["{module}:{type}"]
handled = ["text", "text.text"]
opaque = ["beam"]

[[sdk]]
names = "stop reasons"
read = "words"
types = ["{module}:Stop"]
handled = ["end"]
[sdk.left_out]
length = "nobody has seen it"
"""


def declared(folder: Path, kind: str, old: str = "", new: str = "") -> Path:
    file = folder / "sdk.toml"
    file.write_text(DECLARED.format(module=__name__, type=kind).replace(old, new))
    return file


def test_what_is_declared_is_no_drift(tmp_path: Path) -> None:
    drift = drift_of(declared(tmp_path, "Block"))
    assert (drift.unknown, drift.gone) == ([], [])
    assert drift.counts == {"handled": 3, "opaque": 1, "extra": 0, "left_out": 1}


def test_a_new_block_is_reported_once_without_what_is_inside(tmp_path: Path) -> None:
    drift = drift_of(declared(tmp_path, "Blocks"))
    assert drift.unknown == ["blocks: hologram"]
    assert "unknown: blocks: hologram" in str(drift)


def test_a_new_field_of_a_block_that_is_handled_is_reported(tmp_path: Path) -> None:
    assert drift_of(declared(tmp_path, "Block", ', "text.text"', "")).unknown == ["blocks: text.text"]


def test_a_new_word_is_reported(tmp_path: Path) -> None:
    assert drift_of(declared(tmp_path, "Block", 'handled = ["end"]', "")).unknown == ["stop reasons: end"]


def test_what_an_sdk_has_no_more_is_reported(tmp_path: Path) -> None:
    drift = drift_of(declared(tmp_path, "Block", '"beam"', '"beam", "ray"'))
    assert drift.gone == ["blocks: ray"]
    gone = drift_of(declared(tmp_path, "Nothing")).gone
    assert gone[0].startswith(f"blocks: {__name__}:Nothing is gone")


def test_botocores_shapes_and_errors_are_read() -> None:
    assert {"text", "toolUse"} <= names_in("bedrock-runtime:ContentBlock", "shape")
    assert {"end_turn", "max_tokens"} <= names_in("bedrock-runtime:StopReason", "shape")
    assert "ThrottlingException" in names_in("bedrock-runtime:Converse", "errors")
    with pytest.raises(LookupError, match="bedrock-runtime:Nothing is gone"):
        names_in("bedrock-runtime:Nothing", "shape")


def names(section: dict[str, Any]) -> Iterator[str]:
    for way in WAYS:
        yield from section.get(way, ())


@FILES
def test_each_name_is_declared_once_and_left_out_with_a_reason(file: Path) -> None:
    for section in sections(file):
        declared = list(names(section))
        assert len(set(declared)) == len(declared), f"{section['names']}: a name twice"
        assert section.keys() <= {"names", "read", "types", *WAYS}
        assert all(len(reason) > len("reason") for reason in section.get("left_out", {}).values())


def title(section: str) -> str:
    return re.findall(r'names = "(.*)"', section)[0]


def installed(file: Path) -> None:
    """Skip the test unless the SDKs are there, in the versions that the file is held against."""
    for module in packages(file):
        name = {"google": "google-genai"}.get(module, module)
        if find_spec(module) is None or (name in VERSIONS and _version(name) != VERSIONS[name]):
            pytest.skip(f"{name} {VERSIONS[name]} isn't installed")


@FILES
def test_the_sdk_names_nothing_that_is_not_declared(file: Path) -> None:
    installed(file)
    drift = drift_of(file)
    assert not drift.unknown + drift.gone, f"{file.relative_to(ROOT)}: {drift}"


@FILES
def test_what_is_new_in_an_sdk_is_reported(file: Path, tmp_path: Path) -> None:
    """To an older declaration the last name of each section is new."""
    installed(file)
    head, *rest = file.read_text(encoding="utf-8").split("[[sdk]]\n")
    new: list[str] = []
    for i, section in enumerate(rest):
        handled = re.search(r"^handled = \[(.*?)\]", section, re.MULTILINE | re.DOTALL)
        if handled is not None and (names := re.findall(r'"([^"]+)"', handled[1])):
            kept = ", ".join(f'"{name}"' for name in names[:-1])
            rest[i] = f"{section[: handled.start(1)]}{kept}{section[handled.end(1) :]}"
            new.append(f"{title(section)}: {names[-1]}")
    older = tmp_path / "sdk.toml"
    older.write_text("[[sdk]]\n".join([head, *rest]), encoding="utf-8")
    assert new
    assert sorted(drift_of(older).unknown) == sorted(new)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
