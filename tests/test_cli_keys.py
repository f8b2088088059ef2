"""`tako keys`: keys are stored privately, used by the commands, and never shown."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tako.cli import main
from tako.testing.server import reply, serve
from tako.testing.waiting import PATIENCE

from .terminals import CTRL_D, ENTER, TAKO, Terminal

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-never-to-be-shown-0123"
OK = {"choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}
KEYRING = """
import json, pathlib
FILE = pathlib.Path(__file__).with_name("system.json")
class errors(Exception): ...
class Backend:
    priority = 5
    def _all(self): return json.loads(FILE.read_text()) if FILE.exists() else {}
    def set_password(self, service, name, key): FILE.write_text(json.dumps({**self._all(), f"{service}/{name}": key}))
    def get_password(self, service, name): return self._all().get(f"{service}/{name}")
    def delete_password(self, service, name): FILE.write_text("{}")
def get_keyring(): return Backend()
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.endswith("_API_KEY") or (name.startswith("TAKO_") and name != "TAKO_DISABLE_PLUGINS"):
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "keyring.py").write_text("raise ImportError('none')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "bare"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def tako(*arguments: str, piped: str = "", **env: str) -> tuple[int, str, str]:
    result = subprocess.run(
        [*TAKO, *arguments],
        input=piped,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert KEY not in result.stdout + result.stderr
    return result.returncode, result.stdout, result.stderr


def test_a_key_is_stored_in_a_private_file_and_the_commands_use_it(home: Path) -> None:
    code, _, err = tako("keys", "set", "openai", piped=f"{KEY}\n")
    assert (code, err) == (0, f"tako: the key for OPENAI_API_KEY is stored in {home / 'tako' / 'keys.json'}\n")
    assert stat.S_IMODE((home / "tako" / "keys.json").stat().st_mode) == 0o600
    with serve(lambda _: reply(json=OK)) as server:
        env = {"OPENAI_BASE_URL": server.url}
        ask = ("chat", "--no-stream", "-m", "openai:m", "Hi")
        assert tako(*ask, **env)[:2] == (0, "ok\n")
        assert tako(*ask, **env, OPENAI_API_KEY="from-the-environment")[0] == 0
        assert [one.headers["authorization"] for one in server.requests] == [
            f"Bearer {KEY}",
            "Bearer from-the-environment",
        ]
    [row] = json.loads(tako("keys", "list", "--json")[1])
    assert row == {"variable": "OPENAI_API_KEY", "place": "the file", "used": "yes"}
    assert tako("keys", "remove", "openai")[0] == 0
    assert tako("keys", "remove", "openai")[0] == 1
    assert tako("keys")[2].startswith("tako: no keys are stored")


def test_a_program_that_imports_tako_does_not_read_stored_keys() -> None:
    assert tako("keys", "set", "OPENAI_API_KEY", piped=KEY)[0] == 0
    program = (
        "import tako\ntry:\n    tako.providers.OpenAI('m')\nexcept tako.ConfigurationError as error:\n    print(error)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "has no key" in result.stdout


def test_the_key_is_in_the_systems_keyring_if_there_is_one(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "with"
    folder.mkdir()
    (folder / "keyring.py").write_text(KEYRING)
    env = {"PYTHONPATH": str(folder)}
    assert "stored in the system's keyring" in tako("keys", "set", "anthropic", piped=KEY, **env)[2]
    assert KEY not in (home / "tako" / "keys.json").read_text()
    [row] = json.loads(tako("doctor", "anthropic", "--json", **env, ANTHROPIC_BASE_URL="http://127.0.0.1:9")[1])
    assert row["key"] == "present"
    assert tako("keys", "remove", "anthropic", **env)[0] == 0
    assert json.loads((folder / "system.json").read_text()) == {}


def test_a_key_that_is_typed_isnt_shown(home: Path) -> None:
    screen = Terminal("keys", "set", "MY_GATE_KEY")
    screen.wait_for("Key for MY_GATE_KEY:")
    screen.press(f"{KEY}{ENTER}")
    assert screen.close() == 0
    assert KEY not in screen.text
    assert KEY in (home / "tako" / "keys.json").read_text()


@pytest.mark.parametrize(
    ("name", "typed", "problem"),
    [
        ("opnai", KEY, "neither an installed provider nor a variable"),
        ("python", KEY, "python doesn't look for a key in a variable"),
        ("openai", "\n", "the key is empty or contains control characters"),
        ("openai", "a\nb", "the key is empty or contains control characters"),
    ],
)
def test_a_key_that_cant_be_stored_is_one_line(
    name: str, typed: str, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert main(["keys", "set", name]) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("name", ["anthropic", "openai", "gemini", "mistral", "azure-openai", "bedrock", "ollama"])
def test_every_vendor_with_a_key_says_which_variable_it_is_in(name: str) -> None:
    from tako.cli.keys import variable_of

    assert variable_of(name).isupper()


def test_the_error_about_a_missing_key_says_how_to_store_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "-m", "openai:m", "Hi"]) == 2
    end = "or pass -o 'api_key=$ENV:NAME' (tako keys set openai stores one)\n"
    assert capsys.readouterr().err.endswith(end)


def test_keys_that_others_can_read_and_broken_files_are_refused(home: Path) -> None:
    assert tako("keys", "set", "openai", piped=KEY)[0] == 0
    file = home / "tako" / "keys.json"
    file.chmod(0o644)
    code, _, err = tako("chat", "-m", "openai:m", "Hi")
    assert code == 2
    assert f"chmod 600 {file}" in err
    file.chmod(0o600)
    file.write_text("{")
    assert "is broken" in tako("keys")[2]


def test_a_locked_keyring_is_one_line_and_stores_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "bare" / "keyring.py").write_text(KEYRING)
    assert tako("keys", "set", "openai", piped=KEY)[0] == 0
    locked = KEYRING.replace("FILE = ", "def refuse(*_): raise RuntimeError('it is locked')\nFILE = ")
    (tmp_path / "bare" / "keyring.py").write_text(f"{locked}\nBackend.get_password = Backend.set_password = refuse\n")
    code, _, err = tako("chat", "-m", "openai:m", "Hi")
    assert code == 2
    assert err.startswith(
        "tako: the system's keyring can't be read, so the key for OPENAI_API_KEY is missing: RuntimeError: it is"
    )
    code, _, err = tako("keys", "set", "gemini", piped=KEY)
    assert (code, err) == (2, "tako: the system's keyring can't store the key: RuntimeError: it is locked\n")
    assert "GEMINI" not in (home / "tako" / "keys.json").read_text()


def test_ctrl_d_at_the_prompt_for_a_key_changes_nothing(home: Path) -> None:
    screen = Terminal("keys", "set", "openai")
    screen.wait_for("Key for OPENAI_API_KEY:")
    screen.press(CTRL_D)
    screen.wait_for("you entered no key")
    assert screen.close() == 2
    assert not (home / "tako" / "keys.json").exists()


def test_a_home_that_is_not_a_folder_has_no_keys() -> None:
    code, _, err = tako("keys", XDG_CONFIG_HOME="/dev/null")
    assert code == 0
    assert err.startswith("tako: no keys are stored")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no disk that is always full")  # noqa: PTH110 - a device
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    answer = json.dumps(OK)
    with serve(reply(answer)) as server, open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        env = {**os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
        command = [*TAKO, "chat", "-m", "openai:m", "--no-stream", "Hi"]
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, env=env, check=False, text=True
        )
    assert (result.returncode, result.stderr) == (1, "tako: No space left on device\n")
