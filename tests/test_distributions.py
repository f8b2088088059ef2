"""Plugins as packages: wheels are built, installed in an environment of their own, called by name, uninstalled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tako.testing.environments import Environment, wheel

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


def providing(folder: Path, distribution: str, code: str, *names: str) -> Path:
    """Make a wheel of one module that provides these names by one class each: "good = Good"."""
    module = distribution.replace("-", "_")
    points = {name: f"{module}:{attr}" for name, attr in (each.split(" = ") for each in names)}
    return wheel(folder, distribution, {f"{module}.py": code}, {"tako.providers": points})


def general(folder: Path, distribution: str, code: str, name: str) -> Path:
    module = distribution.replace("-", "_")
    return wheel(folder, distribution, {f"{module}.py": code}, {"tako.plugins": {name: module}})


def imported(environment: Environment) -> str:
    """Code for a function that tells which modules of the wheels have been imported."""
    modules = [path.name.partition("-")[0] for path in environment.wheels.iterdir()]
    return f"def imported(): return sorted(name for name in sys.modules if name in {modules})"


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


OURS = "cache,otel,prices,record"
"""This repository's own general plugins, which the environment sees too."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install a good provider, one broken at import, one that ends the program then, and two that claim one name."""
    environment = Environment(tmp_path_factory.mktemp("environment"), {"TAKO_DISABLE_PLUGINS": OURS})
    folder = environment.wheels
    environment.install(
        providing(folder, "tako-good", provider("good", "Good", "well"), "good = Good", "fine = Good"),
        providing(folder, "tako-broken", "import no_such_module_anywhere", "broken = Broken"),
        providing(folder, "tako-exits", 'raise SystemExit("bye")', "exits = Exits"),
        providing(folder, "tako-other", provider("other", "Other", "other"), "other = Other"),
        providing(folder, "tako-twin-a", provider("twin", "Twin", "a"), "twin = Twin"),
        providing(folder, "tako-twin-b", provider("twin", "Twin", "b"), "twin = Twin"),
        providing(folder, "tako-odd", "Odd = 3", "odd = Odd"),
    )
    return environment


ASK = """
    import tako

    def ask(id):
        try:
            return tako.get_provider(id).blocking.chat("hi").text
        except tako.PluginError as error:
            return f"{type(error.__cause__).__name__}|{error}"
"""


def test_an_installed_provider_is_called_by_name_and_its_neighbours_are_not_imported(environment: Environment) -> None:
    result = environment.run(
        ASK,
        imported(environment),
        """
    result["names"] = sorted(dir(tako.providers))
    result["before"] = imported()
    result["good"] = ask("good:m")
    result["alias"] = ask("fine:m")
    result["attribute"] = tako.providers.Good("m").id
    result["after"] = imported()
    """,
    )
    assert {"Good", "Broken", "Other", "Twin", "OpenAI"} <= set(result["names"])
    assert result["before"] == []
    assert (result["good"], result["alias"], result["attribute"]) == ("well", "well", "good:m")
    assert result["after"] == ["tako_good"]


def test_what_is_wanted_and_cannot_be_had_says_why(environment: Environment) -> None:
    result = environment.run(
        ASK,
        """
    for name in ("broken", "exits", "odd", "twin", "nothing", "god"):
        result[name] = ask(f"{name}:m")
    result["façade"] = ""
    try:
        tako.providers.Broken
    except tako.PluginError as error:
        result["façade"] = str(error)
    result["has"] = hasattr(tako.providers, "Nothing")
    result["failed"] = sorted(tako.hooks.PLUGINS.failed)
    """,
    )
    assert result["broken"].startswith(
        "ModuleNotFoundError|provider 'broken' of tako-broken 1.0 couldn't be imported: "
    )
    assert "no_such_module_anywhere" in result["broken"]
    assert result["exits"].startswith("SystemExit|provider 'exits' of tako-exits 1.0 couldn't be imported: ")
    assert "tako_odd:Odd isn't a subclass of tako.Provider" in result["odd"]
    assert "claimed by tako-twin-a 1.0 and tako-twin-b 1.0" in result["twin"]
    assert result["twin"].endswith("uninstall one, or set TAKO_PREFER=twin=DISTRIBUTION")  # neither is suggested
    assert "no provider 'nothing' is installed (installed: " in result["nothing"]
    assert "good" in result["nothing"]
    assert "tako-nothing" not in result["nothing"]  # whose that is, nobody knows
    assert "did you mean 'good'?" in result["god"]
    assert result["façade"] == result["broken"].partition("|")[2]
    assert result["has"] is False
    assert {"broken", "exits"} <= set(result["failed"])


def test_the_user_decides_between_two_distributions_of_one_name(environment: Environment) -> None:
    answers = [
        environment.run(
            ASK,
            'result = [ask("twin:m"), tako.providers.Twin("m").blocking.chat("hi").text]',
            TAKO_PREFER=f"other=x, twin={name}",
        )
        for name in ("tako-twin-a", "Tako_Twin_B")
    ]
    assert answers == [["a", "a"], ["b", "b"]]


def test_disabled_and_unlisted_plugins_are_never_imported(environment: Environment) -> None:
    code = 'result = [ask("good:m"), ask("broken:m"), ask("twin:m"), "tako_broken" in sys.modules]'
    good, broken, twin, _ = environment.run(ASK, code, TAKO_DISABLE_PLUGINS=f"{OURS},broken, good")
    assert good == "NoneType|provider 'good' is disabled by TAKO_DISABLE_PLUGINS=good"
    assert broken == "NoneType|provider 'broken' is disabled by TAKO_DISABLE_PLUGINS=broken"
    assert "claimed by" in twin
    good, broken, twin, imported = environment.run(ASK, code, TAKO_ALLOW_PLUGINS="tako_good,Tako-Twin.A")
    assert (good, twin, imported) == ("well", "a", False)
    assert broken == "NoneType|provider 'broken' is left out, since TAKO_ALLOW_PLUGINS doesn't name tako-broken"


def test_general_plugins_are_loaded_and_broken_ones_left_out(environment: Environment) -> None:
    folder = environment.wheels
    environment.install(
        general(folder, "tako-gen-good", GOOD_GENERAL, "shout"),
        general(folder, "tako-gen-broken", "1 / 0", "aaa"),
        general(folder, "tako-gen-bad", BAD_GENERAL, "bad"),
        general(folder, "tako-gen-raising", RAISING_GENERAL, "zzz"),
    )
    try:
        result = environment.run(
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
            imported(environment),
            'result = [ask("good:m"), imported()]',
            TAKO_DISABLE_PLUGINS=f"{OURS},shout,aaa,bad,zzz",
        )
        allowed = environment.run(
            ASK,
            imported(environment),
            'result = [ask("good:m"), imported()]',
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
            TAKO_DISABLE_PLUGINS=f"{OURS},zzz",
        )
    finally:
        environment.uninstall("tako-gen-good", "tako-gen-broken", "tako-gen-bad", "tako-gen-raising")
    assert (result["said"], result["again"]) == (["well!", "well!"], "well!")
    assert [text.partition(": ")[0] for text in result["warned"]] == [
        "tako left out plugin 'aaa' of tako-gen-broken 1.0",
        "tako left out plugin 'bad' of tako-gen-bad 1.0",
        "tako left out plugin 'zzz' for providers like good:m",
    ]
    assert sorted(result["failed"]) == ["aaa", "bad", "zzz"]
    assert "ZeroDivisionError" in result["failed"]["aaa"]
    assert "LookupError: no such luck" in result["failed"]["zzz"]
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
            providing(environment.wheels, name, "raise RuntimeError", f"more{i} = More{i}")
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
    code = provider("brief", "Brief", "here")
    environment.install(providing(environment.wheels, "tako-brief", code, "brief = Brief"))
    assert environment.run(ASK, 'result = [ask("brief:m"), "Brief" in dir(tako.providers)]') == ["here", True]
    environment.uninstall("tako-brief")
    answer, listed = environment.run(ASK, 'result = [ask("brief:m"), "Brief" in dir(tako.providers)]')
    assert "no provider 'brief' is installed" in answer
    assert listed is False


USES_TAKO = """
    import sys, time
    import tako
    from tako.providers import Good

    sys.begun.set()
    while not sys.is_waited_for():
        time.sleep(0.005)

    class Declines:
        @tako.hookimpl
        def tako_chat(self):
            return None

    tako.register(Declines(), "x")

    class Mine(Good):
        name = "mine"

    @tako.hookimpl
    def tako_chat(provider):
        async def chat(request):
            return tako.ChatResponse(tako.Message.assistant("mine"))
        return chat
"""


def test_a_plugin_that_uses_tako_while_it_is_imported_by_another_thread_does_no_harm(environment: Environment) -> None:
    """The import goes on only when tako itself waits for it: whoever holds a lock then would wait for ever."""
    environment.install(providing(environment.wheels, "tako-mine", USES_TAKO, "mine = Mine"))
    try:
        answers = environment.run(
            ASK,
            """
        import threading
        result = []

        def bring():
            try:
                import tako_mine
                result.append("imported")
            except BaseException as error:
                result.append(repr(error))

        asking = threading.Thread(target=lambda: result.append(ask("mine:m")), daemon=True)
        importing = threading.Thread(target=bring, daemon=True)
        sys.begun = threading.Event()

        def is_waited_for():
            if threading.current_thread() is asking:
                return True  # the import by the other thread has failed
            frame = sys._current_frames().get(asking.ident)
            while frame is not None:
                if frame.f_code.co_name == "acquire" and "importlib" in frame.f_code.co_filename:
                    return True
                frame = frame.f_back
            return False

        sys.is_waited_for = is_waited_for
        importing.start()
        sys.begun.wait()
        asking.start()
        importing.join(60)
        asking.join(60)
        """,
        )
    finally:
        environment.uninstall("tako-mine")
    assert sorted(answers) == ["imported", "mine"]
