"""`tako capabilities NAME`: names in tako.toml work like models."""

from pathlib import Path

import pytest

from tako.cli import main

CONFIG = """
[providers.clever]
use = "anthropic"
model = "claude-sonnet-4-5"

[providers.mine]
use = "openai"
model = "gpt-5"
capabilities = { max_context_tokens = 1234 }

[providers.gated]
use = "openai:gpt-5"
api_key = "$ENV:GATE_KEY"
headers = { x-gate = "$ENV:GATE_TOKEN" }
capabilities = { max_context_tokens = 4321 }

[providers.wrong]
use = "openai"
model = "gpt-5"
timeout = -1
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tako.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    assert main(["trust", "--yes"]) == 0
    for key in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(key, raising=False)


def test_a_name_in_the_file_means_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities", "clever"]) == 0
    assert "claude-sonnet-4-5" in capsys.readouterr().out


def test_capabilities_in_the_file_win(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities", "mine"]) == 0
    assert "1234" in capsys.readouterr().out


def test_a_bad_option_of_the_file_is_named_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities", "wrong"]) == 2
    assert "providers.wrong" in capsys.readouterr().err


def test_a_variable_that_is_not_set_does_not_matter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities", "gated"]) == 0
    assert "4321" in capsys.readouterr().out


def test_a_file_may_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.toml").write_text(CONFIG.replace("1234", "9876"))
    assert main(["capabilities", "-c", "other.toml", "mine"]) == 0
    assert "9876" in capsys.readouterr().out


def test_an_id_is_not_a_name_in_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capabilities", "openai:gpt-5"]) == 0
    assert "1234" not in capsys.readouterr().out
