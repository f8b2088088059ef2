"""Plugins as packages: wheels are built, installed in an environment of their own, called by name, uninstalled."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import site
import subprocess
import sys
import textwrap
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROVIDER = """
    from tako import ChatResponse, Message, Provider, hookimpl

    class {attr}(Provider):
        name = "{name}"

    @hookimpl
    def tako_chat(provider):
        async def chat(request):
            return ChatResponse(Message.assistant("{answer}"))
        return chat
"""


def provider(name: str, attr: str, answer: str) -> str:
    return PROVIDER.format(name=name, attr=attr, answer=answer)


def wheel(folder: Path, distribution: str, code: str, *, providers: str = "", plugins: str = "") -> Path:
    """Build a wheel of one module, named after the distribution."""
    module = distribution.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    points = [f"[tako.providers]\n{providers}" if providers else "", f"[tako.plugins]\n{plugins}" if plugins else ""]
    files = {
        f"{module}.py": textwrap.dedent(code),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "\n".join(points) + "\n",
    }
    lines = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


class Environment:
    """A virtual environment that sees what the running one has, tako included, beside its own packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels = folder / "wheels"
        self._uv("venv", "-q", "--python", sys.executable, str(folder / "venv"))
        self.python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        found = next((folder / "venv").glob("lib/python*/site-packages"))
        here = [path for path in (*site.getsitepackages(), *sys.path) if path.endswith("site-packages")]
        lines = [f"import site; site.addsitedir({path!r})" for path in dict.fromkeys(here)]
        (found / "outer.pth").write_text("\n".join(lines) + "\n")
        self.wheels.mkdir()

    def install(self, *wheels: Path) -> None:
        self._uv("pip", "install", "-q", "--no-deps", "--no-index", "--python", str(self.python), *map(str, wheels))

    def uninstall(self, *distributions: str) -> None:
        self._uv("pip", "uninstall", "-q", "--python", str(self.python), *distributions)

    def run(self, *code: str, **variables: str) -> Any:
        """Run code that sets `result`, and return that."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("TAKO_", "PYTHON", "COVERAGE"))
        }
        others = "cache,otel,prices,record"  # this repository's own general plugins, which the environment sees too
        off = ",".join(filter(None, (others, variables.get("TAKO_DISABLE_PLUGINS"))))
        ours = [path.name.partition("-")[0] for path in self.wheels.iterdir()]
        program = (
            f"import json, sys, warnings\nours = {ours}\nresult = {{}}\n"
            + "\n".join(map(textwrap.dedent, code))
            + "\nprint(json.dumps(result))"
        )
        done = subprocess.run(
            [str(self.python), "-W", "always::UserWarning", "-c", program],
            env={**kept, **variables, "TAKO_DISABLE_PLUGINS": off},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.stderr = done.stderr
        return json.loads(done.stdout)

    def _uv(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "uv", *arguments],
            check=True,
            capture_output=True,
            env={**os.environ, "UV_OFFLINE": "1"},
        )


BAD_GENERAL = """
    from tako import hookimpl

    @hookimpl
    async def tako_chat(provider): ...
"""

RAISING_GENERAL = """
    from tako import hookimpl

    @hookimpl
    def tako_chat(provider):
        raise LookupError("no such luck")
"""

GOOD_GENERAL = """
    from tako import ChatResponse, Message, hookimpl

    @hookimpl(wrapper=True)
    def tako_chat(provider):
        inner = yield
        async def chat(request):
            response = await inner(request)
            return ChatResponse(Message.assistant(response.text + "!"))
        return chat
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install a good provider, one broken at import, one that sleeps then, and two that claim one name."""
    made = Environment(tmp_path_factory.mktemp("environment"))
    folder = made.wheels
    slow = "import time\ntime.sleep(5)\n" + textwrap.dedent(provider("slow", "Slow", "slow"))
    made.install(
        wheel(
            folder,
            "tako-good",
            provider("good", "Good", "well"),
            providers="good = tako_good:Good\nfine = tako_good:Good",
        ),
        wheel(folder, "tako-broken", "import no_such_module_anywhere", providers="broken = tako_broken:Broken"),
        wheel(folder, "tako-exits", 'raise SystemExit("bye")', providers="exits = tako_exits:Exits"),
        wheel(folder, "tako-slow", slow, providers="slow = tako_slow:Slow"),
        wheel(folder, "tako-twin-a", provider("twin", "Twin", "a"), providers="twin = tako_twin_a:Twin"),
        wheel(folder, "tako-twin-b", provider("twin", "Twin", "b"), providers="twin = tako_twin_b:Twin"),
        wheel(folder, "tako-odd", "Odd = 3", providers="odd = tako_odd:Odd"),
    )
    return made


ASK = """
    import time
    import tako

    def ask(id):
        try:
            return tako.get_provider(id).blocking.chat("hi").text
        except tako.PluginError as error:
            return f"{type(error.__cause__).__name__}|{error}"
"""


def test_an_installed_provider_is_called_by_name_and_its_neighbours_cost_nothing(environment: Environment) -> None:
    found = environment.run(
        ASK,
        """
    began = time.perf_counter()
    result["before"] = sorted(dir(tako.providers))
    result["imported"] = sorted(name for name in sys.modules if name in ours)
    result["good"] = ask("good:m")
    result["alias"] = ask("fine:m")
    result["attribute"] = tako.providers.Good("m").id
    result["after"] = sorted(name for name in sys.modules if name in ours)
    result["seconds"] = time.perf_counter() - began
    """,
    )
    assert {"Good", "Broken", "Slow", "Twin", "OpenAI"} <= set(found["before"])
    assert found["imported"] == []
    assert (found["good"], found["alias"], found["attribute"]) == ("well", "well", "good:m")
    assert found["after"] == ["tako_good"]
    assert found["seconds"] < 4


def test_what_is_wanted_and_cannot_be_had_says_why(environment: Environment) -> None:
    found = environment.run(
        ASK,
        """
    for name in ("broken", "exits", "odd", "twin", "nothing", "god", "slow"):
        result[name] = ask(f"{name}:m") if name != "slow" else None
    result["façade"] = ""
    try:
        tako.providers.Broken
    except tako.PluginError as error:
        result["façade"] = str(error)
    result["has"] = hasattr(tako.providers, "Nothing")
    result["failed"] = sorted(tako.hooks.PLUGINS.failed)
    """,
    )
    assert found["broken"].startswith(
        "ModuleNotFoundError|provider 'broken' of tako-broken 1.0 could not be imported: "
    )
    assert "no_such_module_anywhere" in found["broken"]
    assert found["exits"].startswith("SystemExit|provider 'exits' of tako-exits 1.0 could not be imported: ")
    assert "tako_odd:Odd is no subclass of tako.Provider" in found["odd"]
    assert "claimed by tako-twin-a 1.0 and tako-twin-b 1.0" in found["twin"]
    assert "TAKO_PREFER=twin=" in found["twin"]
    assert "no provider 'nothing' is installed (installed: " in found["nothing"]
    assert "good" in found["nothing"]
    assert "pip install tako-nothing" in found["nothing"]
    assert "did you mean 'good'?" in found["god"]
    assert found["façade"] == found["broken"].partition("|")[2]
    assert found["has"] is False
    assert {"broken", "exits"} <= set(found["failed"])


def test_the_user_decides_between_two_distributions_of_one_name(environment: Environment) -> None:
    said = [
        environment.run(
            ASK,
            'result = [ask("twin:m"), tako.providers.Twin("m").blocking.chat("hi").text]',
            TAKO_PREFER=f"other=x, twin={name}",
        )
        for name in ("tako-twin-a", "Tako_Twin_B")
    ]
    assert said == [["a", "a"], ["b", "b"]]


def test_disabled_and_unlisted_plugins_are_never_imported(environment: Environment) -> None:
    asked = 'result = [ask("good:m"), ask("broken:m"), ask("twin:m"), "tako_broken" in sys.modules]'
    good, broken, twin, _ = environment.run(ASK, asked, TAKO_DISABLE_PLUGINS="broken, good")
    assert good == "NoneType|provider 'good' is disabled by TAKO_DISABLE_PLUGINS (good)"
    assert broken == "NoneType|provider 'broken' is disabled by TAKO_DISABLE_PLUGINS (broken)"
    assert "claimed by" in twin
    good, broken, twin, imported = environment.run(ASK, asked, TAKO_ALLOW_PLUGINS="tako_good,Tako-Twin.A")
    assert (good, twin, imported) == ("well", "a", False)
    assert broken == "NoneType|provider 'broken' is not among the distributions of TAKO_ALLOW_PLUGINS (tako-broken)"


def test_general_plugins_are_loaded_and_broken_ones_left_out(environment: Environment) -> None:
    folder = environment.wheels
    environment.install(
        wheel(folder, "tako-gen-good", GOOD_GENERAL, plugins="shout = tako_gen_good"),
        wheel(folder, "tako-gen-broken", "1 / 0", plugins="aaa = tako_gen_broken"),
        wheel(folder, "tako-gen-bad", BAD_GENERAL, plugins="bad = tako_gen_bad"),
        wheel(folder, "tako-gen-raising", RAISING_GENERAL, plugins="zzz = tako_gen_raising"),
    )
    try:
        found = environment.run(
            ASK,
            """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result["said"] = [ask("good:m"), ask("good:n")]
            result["again"] = ask("good:o")
        result["warned"] = [str(warning.message) for warning in caught]
        result["failed"] = tako.hooks.PLUGINS.failed
        """,
        )
        barred = environment.run(
            ASK,
            'result = [ask("good:m"), sorted(name for name in sys.modules if name in ours)]',
            TAKO_DISABLE_PLUGINS="shout,aaa,bad,zzz",
        )
        allowed = environment.run(
            ASK,
            'result = [ask("good:m"), sorted(name for name in sys.modules if name in ours)]',
            TAKO_ALLOW_PLUGINS="tako-good,tako-gen-good",
        )
        strict = environment.run(
            "warnings.simplefilter('error')",
            ASK,
            """
        try:
            ask("good:m")
        except UserWarning as warning:
            result["raised"] = str(warning)
        result["then"] = "shout" in tako.hooks.PLUGINS._general
        """,
            TAKO_DISABLE_PLUGINS="zzz",
        )
    finally:
        environment.uninstall("tako-gen-good", "tako-gen-broken", "tako-gen-bad", "tako-gen-raising")
    assert (found["said"], found["again"]) == (["well!", "well!"], "well!")
    assert [text.partition(": ")[0] for text in found["warned"]] == [
        "tako left out plugin 'aaa' of tako-gen-broken 1.0",
        "tako left out plugin 'bad' of tako-gen-bad 1.0",
        "tako left out plugin 'zzz' in tako_chat",
    ]
    assert sorted(found["failed"]) == ["aaa", "bad", "zzz"]
    assert "ZeroDivisionError" in found["failed"]["aaa"]
    assert "LookupError: no such luck" in found["failed"]["zzz"]
    assert barred == ["well", ["tako_good"]]
    assert allowed == ["well!", ["tako_gen_good", "tako_good"]]
    assert "'aaa'" in strict["raised"]
    assert strict["then"] is True


def test_thirty_more_providers_change_neither_the_start_nor_a_call(environment: Environment) -> None:
    measure = (
        "import tako\nresult['import'] = sorted(sys.modules)",
        ASK,
        'result["said"] = ask("good:m")\nresult["call"] = sorted(sys.modules)',
    )
    before = environment.run(*measure)
    names = [f"tako-more-{i}" for i in range(30)]
    environment.install(
        *[
            wheel(
                environment.wheels, name, "raise RuntimeError", providers=f"more{i} = {name.replace('-', '_')}:More{i}"
            )
            for i, name in enumerate(names)
        ]
    )
    try:
        assert environment.run(*measure) == before
        assert (
            len(environment.run("import tako\nresult = [n for n in dir(tako.providers) if n.startswith('More')]")) == 30
        )
    finally:
        environment.uninstall(*names)


def test_an_uninstalled_provider_is_gone(environment: Environment) -> None:
    environment.install(
        wheel(
            environment.wheels, "tako-brief", provider("brief", "Brief", "here"), providers="brief = tako_brief:Brief"
        )
    )
    assert environment.run(ASK, 'result = [ask("brief:m"), "Brief" in dir(tako.providers)]') == ["here", True]
    environment.uninstall("tako-brief")
    said, listed = environment.run(ASK, 'result = [ask("brief:m"), "Brief" in dir(tako.providers)]')
    assert "no provider 'brief' is installed" in said
    assert listed is False


def test_a_plugin_that_uses_tako_while_it_is_imported_by_another_thread_does_no_harm(environment: Environment) -> None:
    wanted = textwrap.dedent(provider("mine", "Mine", "mine")).replace("class Mine(Provider)", "class Mine(Good)")
    uses = "import time\nimport tako\nfrom tako.providers import Good\ntime.sleep(0.3)\ntako.register(object(), 'x')\n"
    code = uses + wanted
    environment.install(wheel(environment.wheels, "tako-mine", code, providers="mine = tako_mine:Mine"))
    try:
        said = environment.run(
            ASK,
            """
        import threading
        said = []
        waits = [lambda: said.append(ask("mine:m")), lambda: __import__("tako_mine")]
        threads = [threading.Thread(target=wait) for wait in waits]
        for thread in threads:
            thread.daemon = True
            thread.start()
        for thread in threads:
            thread.join(10)
        result = said
        """,
        )
    finally:
        environment.uninstall("tako-mine")
    assert said == ["mine"]
