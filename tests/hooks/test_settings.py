"""`[plugins]` of tako.toml: order, required plugins and options; in programs that load the file, and in the command."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

import tako
from tako import ChatRequest, ChatResponse, ConfigurationError, Delta, Message, PluginError, hookimpl
from tako.hooks import PLUGINS
from tako.hooks.required import REQUIRE

from .builders import able, ask, listen, plugin, saying, streaming
from .installed import OURS, SHOUT, command, distribution, general, provider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]
    Load = Callable[[str], None]

SUFFIX = """
    import tako
    from msgspec.structs import replace

    @tako.around
    async def {name}(request, inner, *, mark: str = "{name}", times: int = 1, token: str = ""):
        async for chunk in inner(request):
            if chunk.kind == "delta":
                chunk = replace(chunk, text=chunk.text + mark * times + token)
            yield chunk
"""


@pytest.fixture
def load(tmp_path: Path, register: Register) -> Load:
    """Return a function that loads a tako.toml; what it says about plugins is forgotten with what was registered."""

    def load(text: str) -> None:
        path = tmp_path / "tako.toml"
        path.write_text(text)
        tako.load_config(path)

    return load


def marking(mark: str, **options: Any) -> Any:
    """A plugin that puts its mark at the end of every answer: the outermost comes last."""

    @hookimpl(wrapper=True, **options)
    def tako_chat() -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            return ChatResponse(Message.assistant((await inner(request)).text + mark))

        return chat

    @hookimpl(wrapper=True, **options)
    def tako_stream() -> Any:
        inner = yield

        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            async for chunk in inner(request):
                if chunk.kind == "end":
                    yield Delta(mark)
                yield chunk

        return stream

    return plugin(tako_chat=tako_chat, tako_stream=tako_stream)


@pytest.fixture
def marked(vendor: Vendor, register: Register) -> Provider:
    """Return a provider with three plugins around it, whose authors have put them outside, between, and inside."""
    register(marking("a", tryfirst=True), "a")
    register(marking("b"), "b")
    register(marking("c", trylast=True), "c")
    return vendor(tako_chat=saying(""), tako_stream=streaming(""), tako_capabilities=able)("m")


@pytest.mark.parametrize(
    ("order", "answer"),
    [
        ("[]", "cba"),
        ('["a", "b", "c"]', "cba"),
        ('["c", "b", "a"]', "abc"),
        ('["b", "c", "a"]', "acb"),
        ('["c"]', "bac"),
        ('["b"]', "cab"),
    ],
)
def test_the_first_is_outermost_and_what_the_order_does_not_name_stands_inside(
    order: str, answer: str, marked: Provider, load: Load
) -> None:
    assert ask(marked) == "cba"
    load(f"[plugins]\norder = {order}")
    assert ask(marked) == answer
    assert "".join(listen(marked)) == answer


def test_a_file_that_says_nothing_about_plugins_changes_nothing(marked: Provider, load: Load) -> None:
    load('[plugins]\norder = ["c"]')
    load("")
    assert ask(marked) == "bac"
    load('[plugins]\norder = ["b"]')
    assert ask(marked) == "cab"


def test_the_first_override_is_asked_first(vendor: Vendor, register: Register, load: Load) -> None:
    register(plugin(tako_chat=saying("one")), "one")
    register(plugin(tako_chat=saying("two")), "two")
    provider = vendor(tako_chat=saying("mine"))("m")
    assert ask(provider) == "two"
    load('[plugins]\norder = ["one", "two"]')
    assert ask(provider) == "one"


def test_required_ones_stop_every_call_that_would_go_without(vendor: Vendor, register: Register, load: Load) -> None:
    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        yield
        raise ConnectionError("the rules aren't there")

    provider = vendor(tako_chat=saying("sent"), tako_stream=streaming("sent"))("m")
    assert ask(provider) == "sent"
    load('[plugins]\nrequired = ["redact"]')
    for call in (
        ask,
        listen,
        lambda provider: provider.blocking.chat("hi"),
        lambda provider: provider.blocking.stream("hi").response(),
    ):
        with pytest.raises(
            PluginError, match=r"plugin 'redact' is required by plugins\.required of .*tako\.toml, but missing"
        ):
            call(provider)
    register(plugin(tako_chat=tako_chat), "redact")
    with pytest.raises(PluginError, match="plugin 'redact' is required and tako_chat failed"):
        ask(provider)


def test_one_that_the_environment_requires_stays_required(
    vendor: Vendor, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("[plugins]\nrequired = []\norder = []")
    monkeypatch.setenv(REQUIRE, "redact")
    with pytest.raises(PluginError, match="required by TAKO_REQUIRE_PLUGINS"):
        ask(vendor(tako_chat=saying("sent"))("m"))


@tako.around
async def audit(request: ChatRequest, inner: Any, *, mark: str = "?", limit: float = 0.5) -> AsyncGenerator[Any, None]:
    async for chunk in inner(request):
        yield replace(chunk, text=f"{chunk.text}{mark}{limit}") if chunk.kind == "delta" else chunk


def test_the_options_of_a_function_around_everything_are_its_parameters_with_a_default(
    vendor: Vendor, register: Register, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARK", "%")
    provider = vendor(tako_chat=saying("hi"))("m")
    load('[plugins.audit]\nmark = "!"\nlimit = 2\n')
    register(audit)  # before or after the file is loaded
    assert ask(provider) == "hi!2"
    load('[plugins.audit]\nmark = "$ENV:MARK"\n')
    assert ask(provider) == "hi%0.5"
    load('[plugins]\norder = ["audit"]\n')
    assert ask(provider) == "hi?0.5"  # the file has no options for it any more


def test_the_options_of_any_other_plugin_go_to_its_configure(vendor: Vendor, register: Register, load: Load) -> None:
    received: list[dict[str, Any]] = []
    answering = plugin(tako_chat=hookimpl(saying("mine")))
    answering.configure = lambda **options: received.append(options)
    register(answering, "whole")
    load("[plugins.whole]\ndepth = { a = [1, 2] }\n")
    provider = vendor(tako_chat=saying("hi"))("m")
    for _ in range(2):
        assert ask(provider) == "mine"
    assert received == [{"depth": {"a": [1, 2]}}]


def _refusing(**options: Any) -> None:
    raise ValueError("mark is too loud")


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ('[plugins.audit]\nmrak = "!"', "plugins.audit.mrak: plugin 'audit' has no such option; did you mean 'mark'?"),
        ("[plugins.audit]\nmark = 5", "plugins.audit.mark: Expected `str`, got `int`"),
        ('[plugins.audit]\nmark = "$ENV:NOT_SET"', "plugins.audit: mark names the variable NOT_SET, which isn't set"),
        ("[plugins.bare]\na = 1", "plugins.bare: plugin 'bare' has no function configure, so it takes no options"),
        (
            "[plugins.strict]\na = 1",
            "plugins.strict: plugin 'strict' refuses its options: ValueError: mark is too loud",
        ),
        ('[plugins]\norder = ["audti"]', "plugins.order: no plugin 'audti' is installed (installed: "),
        ("[plugins.audti]\na = 1", "plugins.audti: no plugin 'audti' is installed (installed: "),
    ],
)
def test_what_does_not_fit_a_plugin_stops_every_call_in_one_line(
    table: str, line: str, vendor: Vendor, register: Register, load: Load
) -> None:
    register(audit)
    register(plugin(tako_chat=saying("x")), "bare")
    strict = plugin(tako_chat=saying("x"))
    strict.configure = _refusing
    register(strict, "strict")
    load(table)
    provider = vendor(tako_chat=saying("hi"), tako_stream=streaming("hi"))("m")
    for call in (ask, listen, ask):
        with pytest.raises(ConfigurationError) as caught:
            call(provider)
        assert f"tako.toml: {line}" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert ("did you mean 'audit'?" in str(caught.value)) == ("audti" in table)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("plugins = 5", "plugins: Expected `object`, got `int`"),
        ('[plugins]\norder = "audit"', 'plugins.order: expected a list of plugins, as in ["audit", "redact"]'),
        ("[plugins]\nrequired = [1]", 'plugins.required: expected a list of plugins, as in ["audit", "redact"]'),
        ('[plugins]\norder = ["a", "b", "a"]', "plugins.order names 'a' twice"),
        ("[plugins]\nordre = []", "plugins.ordre: no such key (known: order, required, and a table"),
        ('[plugins.audit]\napi_key = "sk-123"', "plugins.audit.api_key holds a secret itself; name a variable"),
    ],
)
def test_a_wrong_table_is_one_line_when_the_file_is_read(table: str, line: str, load: Load) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(table)
    assert f"tako.toml: {line}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not PLUGINS.settings


def test_secrets_among_the_options_show_nowhere(
    vendor: Vendor, register: Register, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    register(audit)
    load('allow_secrets = true\n[plugins.audit]\nmark = "hi"\napi_key = "sk-hidden"\n')
    with pytest.raises(ConfigurationError) as caught:
        ask(vendor(tako_chat=saying("hi"))("m"))
    assert "sk-hidden" not in f"{caught.value!r} {PLUGINS.settings!r} {PLUGINS.snapshot()!r}"


# --- in the command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a provider and two general plugins that are installed, and files that name them."""
    general(general(provider(tmp_path), "shout", SHOUT), "odd", "1 / 0\n")
    code = {"tako_suffix.py": SUFFIX.format(name="suffix")}
    distribution(tmp_path, "acme-rules", code, "[tako.plugins]\nsuffix = tako_suffix:suffix\n")
    (tmp_path / "tako.toml").write_text(
        '[plugins]\norder = ["Acme_Rules", "shout"]\nrequired = ["shout"]\n'
        '[plugins.suffix]\nmark = "?"\ntimes = 2\ntoken = "$ENV:TOKEN"\n'
    )
    return tmp_path


def test_two_plugins_of_one_name_have_options_of_their_own(folder: Path) -> None:
    for name in ("one", "two"):
        code = {f"{name}_rules.py": SUFFIX.format(name=name)}
        distribution(folder, f"acme-{name}", code, f"[tako.plugins]\nrules = {name}_rules:{name}\n")
    (folder / "two.toml").write_text(
        '[plugins]\norder = ["acme-one:rules", "acme-two:rules"]\n'
        '[plugins.rules]\nmark = "!"\n[plugins."acme-two:rules"]\ntimes = 3\n'
    )
    done = command(
        folder, "chat", "-c", str(folder / "two.toml"), "-m", "good:m", "hi", TAKO_DISABLE_PLUGINS="odd,suffix"
    )
    assert (done.stdout, done.stderr) == ("good answerstwotwotwo!\n", "")


def test_it_holds_for_whatever_a_command_calls(folder: Path) -> None:
    env = {"TOKEN": "#", "TAKO_CONFIG": str(folder / "tako.toml")}
    done = command(folder, "chat", "-m", "good:m", "hi", **env)
    assert done.stdout == "good answers??#\n"  # its stream is a chat without wrappers of chat, which shout is
    done = command(folder, "chat", "-m", "good:m", "--no-stream", "hi", **env)
    assert (done.returncode, done.stdout) == (0, "good answers!??#\n")
    assert done.stderr.count(f"tako: using {folder / 'tako.toml'}\n") == 1
    done = command(folder, "chat", "-c", str(folder / "tako.toml"), "-m", "good:m", "--no-stream", "hi", TOKEN="#")
    assert (done.stdout, "using" in done.stderr) == ("good answers!??#\n", False)
    rows, out = folder / "rows.csv", folder / "out.jsonl"
    rows.write_text("text\nhi\n")
    done = command(folder, "map", str(rows), "-o", str(out), "-m", "good:m", "--prompt", "{text}", **env)
    assert json.loads(out.read_text())["text"] == "good answers!??#"
    off = f"{OURS},shout"
    done = command(folder, "chat", "-m", "good:m", "hi", **env, TAKO_DISABLE_PLUGINS=off)
    assert (done.returncode, done.stdout) == (2, "")
    assert "plugin 'shout' is required by plugins.required of" in done.stderr
    assert "disabled by TAKO_DISABLE_PLUGINS" in done.stderr


def test_the_lists_show_order_required_and_options(folder: Path) -> None:
    env = {"TOKEN": "#", "TAKO_CONFIG": str(folder / "tako.toml")}
    done = command(folder, "plugins", "good", "--json", **env)
    [row] = json.loads(done.stdout)
    general = [link for link in row["hooks"]["tako_chat"] if not link["plugin"].startswith(("tako.", "provider "))]
    assert [(link["plugin"], link["required"]) for link in general] == [("suffix", False), ("shout", True)]
    assert general[0]["options"] == {"mark": "?", "times": 2}  # a token isn't shown
    table = command(folder, "plugins", "good", **env).stdout
    [line] = [line.split() for line in table.splitlines() if "tako_chat" not in line and "suffix" in line][:1]
    assert line[-2:] == ['mark="?",', "times=2"]
    rows = json.loads(command(folder, "providers", "--json", **env).stdout)
    assert {
        row["name"]: (row["state"], row["required"])
        for row in rows
        if row["state"] != "off" and row["kind"] == "plugin"
    } == {
        "odd": ("broken", False),
        "shout": ("ok", True),
        "suffix": ("ok", False),
    }


def test_a_file_that_cannot_be_read_stops_an_id_too_if_it_may_have_rules(folder: Path) -> None:
    path = folder / "tako.toml"
    path.write_text("[plugins]\nrequired = [")
    done = command(folder, "chat", "-m", "good:m", "hi", TAKO_CONFIG=str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{path}: not TOML" in done.stderr
    path.write_text("[providers")
    assert command(folder, "chat", "-m", "good:m", "hi", TAKO_CONFIG=str(path)).returncode == 0


def test_trusting_a_file_shows_what_it_does_with_plugins(folder: Path) -> None:
    done = command(folder, "trust", str(folder), XDG_STATE_HOME=str(folder / "state"))
    for line in (
        "[plugins] order Acme_Rules, shout",
        "[plugins] required shout",
        "[plugins.suffix] mark, times, token",
        "  reads TOKEN",
    ):
        assert f"\n{line}\n" in done.stderr


def test_workers_elsewhere_follow_the_same_file(marked: Provider, load: Load) -> None:
    worker_module = pytest.importorskip("tako_map.engines.worker")
    PLUGINS.install("marked", type(marked))
    load('[plugins]\norder = ["c"]')
    spec = worker_module.Spec("marked:m", {}, {}, PLUGINS.settings)
    PLUGINS.use(tako.hooks.settings.Settings())

    async def call() -> Any:
        import pickle

        worker = worker_module.Worker(spec)
        assert await worker.problems() == []
        return pickle.loads(await worker.chat(pickle.dumps(ChatRequest([Message.user("hi")]))))

    assert asyncio.run(call()).text == "bac"
