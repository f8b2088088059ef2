"""Required plugins: no call goes out without them; and what any other plugin's failure means."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako import ChatRequest, ChatResponse, Message, PluginError, hookimpl
from tako.cli import main as tako_command
from tako.hooks import HOOKS, PLUGINS, PluginWarning
from tako.hooks.required import REQUIRE

from .builders import able, ask, listen, plugin, saying, streaming
from .installed import ASK, OURS, SHOUT, command, distribution, general, program, provider, rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]

RAISING = """
    import tako

    @tako.hookimpl(wrapper=True)
    def tako_chat(provider):
        yield
        raise ConnectionError("the rules aren't there")
"""


def failing(hook: str = "tako_chat", only: type[Provider] | None = None) -> Any:
    """A plugin that goes around a hook, and fails while it's bound (for the providers of one class alone)."""

    def wrap(provider: Provider) -> Any:
        inner = yield
        if only is None or type(provider) is only:
            raise ConnectionError("the rules aren't there")
        if hook != "tako_chat":
            return inner

        async def chat(request: ChatRequest) -> ChatResponse:
            return ChatResponse(Message.assistant((await inner(request)).text + "!"))

        return chat

    return plugin(**{hook: hookimpl(wrapper=True)(wrap)})


@pytest.mark.parametrize("hook", HOOKS)
def test_one_that_fails_while_it_is_bound_stops_every_call(hook: str, vendor: Vendor, register: Register) -> None:
    calls: list[int] = []

    def tako_chat() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            calls.append(1)
            return ChatResponse(Message.assistant("sent"))

        return chat

    provider = vendor(tako_chat=tako_chat, tako_stream=streaming("sent"), tako_capabilities=able)("m")
    assert ask(provider) == "sent"
    register(failing(hook), "redact", required=True)
    for call in (
        ask,
        ask,
        listen,
        lambda provider: provider.blocking.chat("hi"),
        lambda provider: provider.blocking.stream("hi").response(),
    ):
        with pytest.raises(PluginError) as caught:
            call(provider)
        message = f"acme:m: plugin 'redact' is required and {hook} failed: ConnectionError: the rules aren't there"
        assert str(caught.value) == message
        assert isinstance(caught.value.__cause__, ConnectionError)
    tako.unregister("redact")
    assert ask(provider) == "sent"
    assert calls == [1, 1]


def test_one_that_another_plugin_shields_stops_the_call_all_the_same(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        try:
            return (yield)
        except ConnectionError:
            return saying("never mind")()

    register(failing(), "redact", required=True)
    register(plugin(tako_chat=tako_chat), "shield")
    with pytest.raises(PluginError, match="plugin 'redact' is required"):
        ask(vendor(tako_chat=saying("sent"))("m"))


def test_one_that_recovers_lets_calls_through_again(vendor: Vendor, register: Register) -> None:
    broken = [True]

    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        inner = yield
        if broken:
            raise ConnectionError("not yet")
        return inner

    register(plugin(tako_chat=tako_chat), "redact", required=True)
    provider = vendor(tako_chat=saying("sent"))("m")
    with pytest.raises(PluginError, match="not yet"):
        ask(provider)
    broken.clear()
    assert ask(provider) == "sent"


def test_a_plugin_that_fails_for_one_class_is_left_out_of_that_class_alone(vendor: Vendor, register: Register) -> None:
    first, second = vendor(tako_chat=saying("first")), vendor("other", tako_chat=saying("second"))
    heir = vendor("heir", base=first)
    bound = second("m")
    register(failing(only=first), "shout")
    assert ask(bound) == "second!"
    with pytest.warns(PluginWarning, match="left out plugin 'shout' for providers like acme:m") as caught:
        assert ask(first("m")) == "first"
    assert len(caught) == 1
    assert ask(first("n")) == "first"
    assert (ask(bound), ask(second("n")), ask(heir("m"))) == ("second!", "second!", "first!")
    assert "shout" in PLUGINS.general()


def test_one_that_is_registered_anew_gets_another_chance(vendor: Vendor, register: Register) -> None:
    cls = vendor(tako_chat=saying("sent"))
    register(failing(only=cls), "shout")
    with pytest.warns(PluginWarning):
        ask(cls("m"))
    tako.unregister("shout")
    register(failing(only=None.__class__), "shout")
    assert ask(cls("m")) == "sent!"


def test_required_ones_that_are_named_in_the_environment(
    vendor: Vendor, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REQUIRE, "redact")
    cls = vendor(tako_chat=saying("sent"))
    with pytest.raises(
        PluginError,
        match="'redact' is required by TAKO_REQUIRE_PLUGINS, but missing: no general plugin of that name is installed",
    ):
        ask(cls("m"))
    register(failing(only=cls), "redact")
    with pytest.raises(PluginError, match="plugin 'redact' is required and tako_chat failed"):
        ask(cls("m"))
    assert ask(vendor("other", tako_chat=saying("sent"))("m")) == "sent!"


def test_installed_ones_are_required_by_entry_point_or_distribution(tmp_path: Path) -> None:
    general(provider(tmp_path), "shout", SHOUT)
    distribution(tmp_path, "tako-odd", {"odd.py": "1 / 0\n"}, "[tako.plugins]\nodd = odd\n")
    distribution(tmp_path, "tako-fails", {"fails.py": RAISING}, "[tako.plugins]\nfails = fails\n")
    code = """
        import os
        import tako.hooks
        result = {}
        for wanted in ("shout", "Tako_Shout", "odd", "missing", "fails", "shout,odd"):
            os.environ["TAKO_REQUIRE_PLUGINS"] = wanted
            tako.hooks.PLUGINS.restore(tako.hooks.PLUGINS.snapshot())
            result[wanted] = ask("good:m")
        """
    messages = program(tmp_path, ASK, code)
    required = "is required by TAKO_REQUIRE_PLUGINS, but missing: "
    assert messages == {
        "shout": "good answers!",
        "Tako_Shout": "good answers!",
        "odd": f"PluginError: plugin 'odd' {required}ZeroDivisionError: division by zero",
        "missing": f"PluginError: plugin 'missing' {required}no general plugin of that name is installed",
        "fails": "PluginError: good:m: plugin 'fails' is required and tako_chat failed: "
        "ConnectionError: the rules aren't there",
        "shout,odd": f"PluginError: plugin 'odd' {required}ZeroDivisionError: division by zero",
    }
    off = program(
        tmp_path, ASK, 'result = ask("good:m")', **{REQUIRE: "shout", "TAKO_DISABLE_PLUGINS": f"{OURS},shout"}
    )
    assert off == f"PluginError: plugin 'shout' {required}disabled by TAKO_DISABLE_PLUGINS=shout"
    unlisted = program(tmp_path, ASK, 'result = ask("good:m")', **{REQUIRE: "shout", "TAKO_ALLOW_PLUGINS": "tako-good"})
    assert unlisted.startswith(
        f"PluginError: plugin 'shout' {required}left out, since TAKO_ALLOW_PLUGINS doesn't name tako-shout"
    )
    done = command(tmp_path, "chat", "-m", "good:m", "hi", **{REQUIRE: "missing"})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"plugin 'missing' {required}no general plugin of that name is installed" in done.stderr


def test_an_empty_list_of_required_plugins_is_refused(tmp_path: Path) -> None:
    """A variable that wasn't filled in would let every request go out without the rules."""
    general(provider(tmp_path), "shout", SHOUT)
    text = f"{REQUIRE} is empty: name the plugins that calls need, or unset it"
    for empty in ("", " , "):
        assert program(tmp_path, ASK, 'result = ask("good:m")', **{REQUIRE: empty}) == f"PluginError: {text}"
    for arguments in (("providers",), ("chat", "-m", "good:m", "hi")):
        done = command(tmp_path, *arguments, **{REQUIRE: ""})
        assert (done.returncode, done.stdout, text in done.stderr) == (2, "", True)


def test_the_lists_show_what_is_required_what_is_broken_and_what_is_missing(tmp_path: Path) -> None:
    general(provider(tmp_path), "shout", SHOUT)
    listed = rows(tmp_path, **{REQUIRE: "shout"})
    assert {name: (listed[name]["state"], listed[name]["required"]) for name in ("good", "shout")} == {
        "good": ("ok", False),
        "shout": ("ok", True),
    }
    listed = rows(tmp_path, **{REQUIRE: "shout,redact"})
    assert (listed["redact"]["kind"], listed["redact"]["state"]) == ("plugin", "missing")
    assert "no installed distribution has it" in listed["redact"]["why"]
    assert listed["good"]["state"] == "broken"  # no call of it would go out
    assert "plugin 'redact' is required" in listed["good"]["why"]
    chain = command(tmp_path, "plugins", "good", **{REQUIRE: "tako-shout"}).stdout.splitlines()
    assert chain[0].split() == ["PROVIDER", "HOOK", "PLUGIN", "ROLE", "REQUIRED", "DISTRIBUTION", "VERSION"]
    [link] = [line.split() for line in chain if "shout" in line]
    assert link == ["shout", "wraps", "yes", "tako-shout", "1.0"]


def test_one_that_the_program_registers_shows_in_the_chain(
    register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    register(plugin(tako_capabilities=able), "mine", required=True)
    assert tako_command(["plugins", "openai", "--json"]) == 0
    assert '"required": true' in capsys.readouterr().out


CALLS_AT_IMPORT: dict[str, str] = {
    "blocking": 'ANSWER = tako.get_provider("good:m").blocking.chat("x").text',
    "a loop of its own": 'ANSWER = asyncio.run(tako.get_provider("good:m").chat("x")).text',
    "a stream": 'ANSWER = tako.get_provider("good:m").blocking.stream("x").response().text',
    "a thread": """
ANSWER = "none"
def work():
    global ANSWER
    ANSWER = tako.get_provider("good:m").blocking.chat("x").text
thread = threading.Thread(target=work)
thread.start()
thread.join()
""",
    "a pool": 'ANSWER = ThreadPoolExecutor().submit(asyncio.run, tako.get_provider("good:m").chat("x")).result().text',
}


@pytest.mark.parametrize("how", CALLS_AT_IMPORT)
def test_a_plugin_that_calls_a_provider_while_it_is_imported_hangs_nobody(how: str, tmp_path: Path) -> None:
    imports = "import asyncio, threading\nfrom concurrent.futures import ThreadPoolExecutor\nimport tako\n"
    files = {"eager.py": imports + CALLS_AT_IMPORT[how] + _dedented(SHOUT)}
    distribution(provider(tmp_path), "tako-eager", files, "[tako.plugins]\neager = eager\n")
    code = 'result = [ask("good:m"), getattr(sys.modules.get("eager"), "ANSWER", None), *tako.hooks.PLUGINS.failed]'
    message, answer, *failed = program(tmp_path, ASK, code)
    if failed:  # it waited for a thread that knows nothing of the import
        assert (message, how) == ("good answers", "a pool")
    else:
        assert message == "good answers!"
        assert answer in (("good answers", "none") if how == "a thread" else ("good answers",))


def _dedented(code: str) -> str:
    import textwrap

    return "\n" + textwrap.dedent(code)


def test_a_required_plugin_is_waited_for_while_others_are_imported(tmp_path: Path) -> None:
    code = 'import tako\ntry:\n    tako.get_provider("good:m").blocking.chat("x")\n'
    code += "except tako.PluginError as error:\n    import sys\n    sys.told = str(error)\n"
    distribution(
        provider(tmp_path), "tako-eager", {"eager.py": code + _dedented(SHOUT)}, "[tako.plugins]\neager = eager\n"
    )
    general(tmp_path, "guard", SHOUT)
    results = program(tmp_path, ASK, 'result = [ask("good:m"), sys.told]', **{REQUIRE: "guard"})
    assert results == [
        "good answers!!",
        "plugin 'guard' is required by TAKO_REQUIRE_PLUGINS, but missing: it isn't imported yet",
    ]


def test_threads_that_call_while_plugins_are_imported_wait_for_them(tmp_path: Path) -> None:
    files = {"slow.py": "import sys\nsys.begun.set()\nsys.go_on.wait(60)" + _dedented(SHOUT)}
    distribution(provider(tmp_path), "tako-slow", files, "[tako.plugins]\nslow = slow\n")
    code = """
        import threading, time
        sys.begun = threading.Event()

        class Wait:  # not one of threading's own: this thread is busy
            def wait(self, seconds):
                while len(waiting) < 3:
                    time.sleep(0.001)

        sys.go_on, waiting, said = Wait(), [], []

        def call():
            waiting.append(1)
            said.append(ask("good:m"))

        threads = [threading.Thread(target=lambda: said.append(ask("good:m")))]
        threads[0].start()
        sys.begun.wait(60)
        threads += [threading.Thread(target=call) for _ in range(3)]
        for thread in threads[1:]:
            thread.start()
        for thread in threads:
            thread.join()
        result = said
        """
    assert program(tmp_path, ASK, code) == ["good answers!"] * 4


def test_many_threads_register_and_fail_while_calls_are_made(vendor: Vendor, register: Register) -> None:
    classes = [vendor(f"acme{i}", tako_chat=saying("vendor")) for i in range(3)]
    start, wrong = threading.Barrier(9), list[Any]()

    def call(cls: type[Provider]) -> None:
        start.wait()
        for _ in range(20):
            text = asyncio.run(cls("m").chat("hi")).text
            if text.rstrip("!") != "vendor":
                wrong.append(text)

    def churn(number: int) -> None:
        start.wait()
        for i in range(20):
            name = f"{number}-{i}"
            tako.register(failing(only=classes[number]), name)
            tako.unregister(name)

    threads = [threading.Thread(target=call, args=(classes[i % 3],)) for i in range(6)]
    threads += [threading.Thread(target=churn, args=(i,)) for i in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **options: None)  # the threads' failures are expected
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
