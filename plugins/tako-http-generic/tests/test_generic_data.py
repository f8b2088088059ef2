"""A distribution with a file and an entry point, and no code: installed, called by name, uninstalled."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import textwrap
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tako.testing.server import Received, Reply, reply, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHAT = """
id = "acme"
model = "large"
url = "{url}/chat"
response_text_pointer = "/answer"
finish_reason_pointer = "/why"
tool_calls = "/calls"
[headers]
authorization = "Bearer $ACME_KEY"
[body_template]
model = "{{{{ model }}}}"
messages = "{{{{ messages }}}}"
stream = "{{{{ stream }}}}"
[stream_config]
kind = "ndjson"
content_pointer = "/piece"
finish_reason_pointer = "/why"
"""
POINTS = """[tako.providers]
acme = tako_http_generic.data:acme_gateway.Acme
acme-code = tako_http_generic.data:acme_gateway.teams.AcmeCode
acme-gone = tako_http_generic.data:acme_gateway.AcmeGone
acme-bad = tako_http_generic.data:acme_gateway.AcmeBad
"""


def wheel(folder: Path, url: str) -> Path:
    """Build a wheel without a line of Python."""
    chat = CHAT.format(url=url)
    code = {"id": "acme-code", "url": f"{url}/code", "body_template": "{{ request }}"}
    info = "acme_gateway-1.0.dist-info"
    files = {
        "acme_gateway/Acme.toml": chat,
        "acme_gateway/AcmeBad.toml": chat.replace("url =", "address ="),
        "acme_gateway/teams/AcmeCode.json": json.dumps(code),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: acme-gateway\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": POINTS,
    }
    lines = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    path = folder / "acme_gateway-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


class Environment:
    """A virtual environment with its own packages and those of the running one."""

    def __init__(self, folder: Path) -> None:
        self.uv("venv", "-q", "--python", sys.executable, str(folder))
        self.python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        packages = next(folder.glob("lib/python*/site-packages"), folder / "Lib" / "site-packages")
        paths = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        lines = [f"import site; site.addsitedir({path!r})" for path in paths]
        (packages / "outer.pth").write_text("\n".join(lines) + "\n")

    def uv(self, *arguments: str) -> None:
        variables = {**os.environ, "UV_OFFLINE": "1"}
        subprocess.run([sys.executable, "-m", "uv", *arguments], check=True, capture_output=True, env=variables)

    def run(self, *command: str, ok: bool | None = True) -> str:
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("TAKO_", "COVERAGE"))}
        done = subprocess.run(
            [self.python, *command],
            env={**variables, "ACME_KEY": "k-12345"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ok is None or done.returncode == 0, done.stderr
        return done.stdout

    def result(self, code: str) -> Any:
        program = "import json, pickle, sys, tako\n" + textwrap.dedent(code) + "\nprint(json.dumps(result))"
        return json.loads(self.run("-c", program))


def answer(request: Received) -> Reply:
    if request.headers.get("authorization") != "Bearer k-12345" and request.path == "/chat":
        return reply(json={"error": "no key"}, status=401)
    if request.path == "/code":
        return reply(json={"text": request.json["messages"][0]["content"][::-1]})
    if request.json["stream"]:
        return reply(b'{"piece": "from "}\n{"piece": "Acme"}\n{"why": "stop"}\n')
    return reply(json={"answer": f"{request.json['model']} of Acme", "why": "stop"})


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    folder = tmp_path_factory.mktemp("data")
    with serve(answer) as server:
        environment = Environment(folder / "venv")
        path = wheel(folder, server.url)
        environment.uv("pip", "install", "-q", "--no-deps", "--no-index", "--python", environment.python, str(path))
        yield environment


@pytest.fixture(scope="module")
def facts(installed: Environment) -> dict[str, Any]:
    """Return what one program learns of it: a program for each test would take longer than all tests."""
    return installed.result(  # type: ignore[no-any-return]  # the program's own JSON
        """
        import asyncio
        result = {"listed": sorted({"Acme", "AcmeCode"} & set(dir(tako.providers)))}
        result["lazy"] = [name for name in sys.modules if name.startswith("tako_")]
        provider = tako.get_provider("acme:small", timeout=50)
        result["id"] = provider.id
        result["text"] = provider.blocking.chat("hi").text
        result["default"] = tako.get_provider("acme").blocking.chat("hi").text
        result["streamed"] = provider.blocking.stream("hi").response().text
        result["same"] = tako.providers.Acme is type(provider)
        result["pickled"] = pickle.loads(pickle.dumps(provider)).blocking.chat("hi").text
        result["code"] = tako.get_provider("acme-code:m").blocking.chat("abc").text
        conductor = tako.Conductor({"writer": tako.get_provider("acme:small")})
        result["conducted"] = asyncio.run(conductor.ask("writer", "hi")).text
        result["errors"] = []
        for name in ("acme-gone", "acme-bad"):
            try:
                tako.get_provider(f"{name}:m")
            except tako.PluginError as error:
                result["errors"].append(str(error))
        """
    )


def test_it_is_called_by_name_and_streamed_and_is_in_tako_providers(facts: dict[str, Any]) -> None:
    assert {name: value for name, value in facts.items() if name != "errors"} == {
        "listed": ["Acme", "AcmeCode"],
        "lazy": [],
        "id": "acme:small",
        "text": "small of Acme",
        "default": "large of Acme",
        "streamed": "from Acme",
        "same": True,
        "pickled": "small of Acme",
        "code": "cba",
        "conducted": "small of Acme",
    }


def test_errors_of_the_file_name_it(facts: dict[str, Any]) -> None:
    gone, bad = facts["errors"]
    assert "package 'acme_gateway' has no file AcmeGone.toml or AcmeGone.json" in gone
    assert "AcmeBad.toml: Object contains unknown field `address`" in bad


def test_the_command_calls_it(installed: Environment) -> None:
    assert "from Acme" in installed.run("-m", "tako.cli", "chat", "-m", "acme:small", "hi")
    listed = json.loads(installed.run("-m", "tako.cli", "providers", "--json", ok=None))
    states = {row["class"]: row["state"] for row in listed if row["distribution"] == "acme-gateway"}
    assert states["tako.providers.Acme"] == states["tako.providers.AcmeCode"] == "ok"
    assert states["tako.providers.AcmeGone"] == states["tako.providers.AcmeBad"] == "broken"


def test_uninstalled_it_is_gone(installed: Environment) -> None:
    installed.uv("pip", "uninstall", "-q", "--python", installed.python, "acme-gateway")
    message = installed.result(
        """
        try:
            tako.get_provider("acme:m")
        except tako.PluginError as error:
            result = str(error)
        """
    )
    assert "no provider 'acme' is installed" in message
