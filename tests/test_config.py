"""tako.toml: what it says, where it is found, and what is wrong with it, by file and key."""

from __future__ import annotations

import asyncio
import json
import traceback
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import tako
from tako import Capabilities, UrlPrefetch, load_config
from tako.cli import main
from tako.config import user_config
from tako.errors import ConfigurationError, PluginError, RateLimitError
from tako.testing.server import Received, Reply, reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tako import Provider

CONFIGURATION = """
default = "code"

[providers.code]
use = "anthropic"
model = "claude-sonnet-4-5"
api_key = "$ENV:MY_KEY"
timeout = 5

[providers.math]
use = "ollama:llama3.2"
base_url = "http://127.0.0.1:1"
options = { num_ctx = 8192 }

[conductor]
coordinator = "code"
max_fanout = 8
worker_timeout = 30
fail_fast = true
system = "Be brief."
[conductor.workers]
code = "code"
math = "math"
"""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration but the tests' own."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.delenv("TAKO_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("MY_KEY", "sk-of-mine")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "some.toml"
        path.write_text(text)
        return path

    return write


def test_a_missing_key_says_what_to_write_into_the_file(tmp_path: Path) -> None:
    (tmp_path / "tako.toml").write_text('[providers.a]\nuse = "openai:m"\n')
    with pytest.raises(
        ConfigurationError, match=r'providers\.a: .* set OPENAI_API_KEY, or write api_key = "\$ENV:NAME"$'
    ):
        load_config(tmp_path / "tako.toml").provider("a")


def test_an_unknown_name_is_told_the_names_of_the_file_and_who_takes_ids(tmp_path: Path) -> None:
    (tmp_path / "tako.toml").write_text('[providers.a]\nuse = "ollama:m"\n[aliases]\nfast = "ollama:n"\n')
    config = load_config(tmp_path / "tako.toml")
    with pytest.raises(ConfigurationError, match=r"no \[providers.opnai\]; known names: a, fast$"):
        config.provider("opnai")
    with pytest.raises(ConfigurationError, match=r"known names: a, fast; tako\.get_provider takes ids$"):
        config.provider("openai:gpt-6-luna")


def test_a_file_names_providers_a_default_and_a_conductor(write: Callable[[str], Path]) -> None:
    config = load_config(write(CONFIGURATION))
    code = config.provider()
    assert (code.id, code.timeout) == ("anthropic:claude-sonnet-4-5", 5)  # type: ignore[attr-defined]
    assert config.provider("math").id == "ollama:llama3.2"
    conductor = config.conductor()
    assert {role: provider.id for role, provider in conductor.workers.items()} == {
        "code": "anthropic:claude-sonnet-4-5",
        "math": "ollama:llama3.2",
    }
    assert conductor.coordinator is conductor.workers["code"]
    assert (conductor.max_fanout, conductor.worker_timeout, conductor.fail_fast) == (8, 30, True)
    assert (conductor.max_steps, conductor.system) == (8, "Be brief.")


def test_options_of_the_caller_go_over_those_of_the_file(write: Callable[[str], Path]) -> None:
    provider: Any = load_config(write(CONFIGURATION)).provider("code", timeout=7, max_retries=0)
    assert (provider.timeout, provider.max_retries) == (7, 0)


def test_a_provider_without_its_key_harms_no_other(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_KEY")
    config = load_config(write(CONFIGURATION))
    assert config.provider("math").id == "ollama:llama3.2"
    with pytest.raises(ConfigurationError, match=r"some\.toml: providers\.code: .*MY_KEY"):
        config.provider("code")


def test_options_that_are_objects_are_tables_in_the_file(write: Callable[[str], Path]) -> None:
    path = write(
        """
        [providers.eyes]
        use = "ollama"
        model = "llava"
        url_prefetch = { allow_hosts = ["images.example"], timeout = 3 }
        capabilities = { supports_vision = true, max_context_tokens = 4096 }
        """
    )
    provider: Any = load_config(path).provider("eyes")
    assert provider.url_prefetch == UrlPrefetch(allow_hosts=("images.example",), timeout=3.0)
    assert provider.capabilities.supports_vision
    assert msgspec.structs.replace(provider.capabilities, origins={}) == Capabilities(
        supports_vision=True, max_context_tokens=4096
    )


# --- what is wrong: file, key, and what was expected

OPENAI = '[providers.a]\nuse = "openai"\nmodel = "m"\napi_key = "$ENV:MY_KEY"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("default = ", ["not TOML", "Invalid value"]),
        ("default = 5", ["default", "Expected `str"]),
        ('defualt = "a"', ["defualt", "no such key", "did you mean 'default'?"]),
        ('colour = "red"', ["colour", "no such key", "providers, default, conductor, plugins, allow_secrets"]),
        ('default = "b"\n' + OPENAI, ["default = 'b'", "[providers]: a"]),
        ('default = "b"', ["default = 'b'", "there are none"]),
        ("[providers]\na = 1", ["providers.a", "expected a table"]),
        ('[providers.a]\nmodel = "m"', ["providers.a.use", 'use = "openai"']),
        ("[providers.a]\nuse = 5", ["providers.a.use", 'use = "openai"']),
        ('[providers.a]\nuse = ""', ["providers.a.use", "names a provider"]),
        ('[providers.a]\nuse = "openai:m"\nmodel = "n"', ["providers.a.use", "provider and model"]),
        ('[providers.a]\nuse = "openai"\nmodel = 5', ["providers.a.model", 'model = "gpt-6.2-sol"']),
        ("conductor = 5", ["conductor", "Expected `object"]),
        ("[conductor]", ["conductor", "workers"]),
        ("[conductor]\nworkers = {}", ["conductor.workers", "length >= 1"]),
        ('[conductor]\nworkers = { a = "b" }', ["conductor.workers.a = 'b'", "there are none"]),
        (OPENAI + "[conductor]\nworkers = { a = 1 }", ["conductor.workers.a", "expected a name"]),
        (OPENAI + '[conductor]\ncoordinator = "x"\nworkers = { a = "a" }', ["conductor.coordinator = 'x'", "a"]),
        (OPENAI + '[conductor]\nmax_fanot = 3\nworkers = { a = "a" }', ["conductor.max_fanot", "max_fanout"]),
        (OPENAI + '[conductor]\nmax_fanout = 0\nworkers = { a = "a" }', ["conductor.max_fanout", ">= 1"]),
        (OPENAI + '[conductor]\nmax_steps = 1.5\nworkers = { a = "a" }', ["conductor.max_steps", "`int`"]),
        (OPENAI + '[conductor]\nworker_timeout = 0\nworkers = { a = "a" }', ["conductor.worker_timeout", "> 0"]),
        (OPENAI + '[conductor]\nworker_timeout = "1"\nworkers = { a = "a" }', ["conductor.worker_timeout", "`float`"]),
    ],
)
def test_what_is_wrong_with_a_file_is_told_when_it_is_read(
    text: str, says: list[str], write: Callable[[str], Path]
) -> None:
    path = write(text)
    with pytest.raises(ConfigurationError) as caught:
        load_config(path)
    for part in [f"{path}: ", *says]:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('tiemout = 5"', ["not TOML"]),
        ("tiemout = 5", ["providers.a.tiemout", "no such option", "timeout"]),
        ('timeout = "soon"', ["providers.a.timeout", "Expected `float`"]),
        ("timeout = -1", ["providers.a", "timeout", "above 0"]),
        ("headers = 5", ["providers.a.headers", "Expected `object`"]),
        ("headers = { a = 5 }", ["providers.a.headers", "Expected `str`"]),
        ('base_url = "example"', ["providers.a", "base_url", "http"]),
        ("organization = 5", ["providers.a.organization", "Expected `str"]),
        ("max_retries = true", ["providers.a.max_retries", "Expected `int`"]),
        ("capabilities = { supports_toys = true }", ["providers.a.capabilities.supports_toys", "supports_tools"]),
        ("capabilities = { supports_tools = 1 }", ["providers.a.capabilities.supports_tools", "Expected `bool`"]),
        ("capabilities = 5", ["providers.a.capabilities", "Expected `object"]),
    ],
)
def test_what_is_wrong_with_a_provider_is_told_when_it_is_made(
    line: str, says: list[str], write: Callable[[str], Path]
) -> None:
    path = write(OPENAI + line)
    with pytest.raises(ConfigurationError) as caught:
        load_config(path).provider("a")
    for part in [f"{path}: ", *says]:
        assert part in str(caught.value)
    assert str(caught.value).count(str(path)) == 1
    assert "\n" not in str(caught.value)


def test_an_unknown_name_says_which_there_are(write: Callable[[str], Path]) -> None:
    config = load_config(write(OPENAI))
    with pytest.raises(ConfigurationError, match=r"there is no \[providers\.b\]; known names: a"):
        config.provider("b")
    with pytest.raises(ConfigurationError, match=r"default isn't set; it names one of the \[providers\]: a"):
        config.provider()
    with pytest.raises(ConfigurationError, match=r"\[conductor\] is missing"):
        config.conductor()


def test_a_role_that_is_the_coordinators_is_told_with_the_file(write: Callable[[str], Path]) -> None:
    path = write(OPENAI + '[conductor]\ncoordinator = "a"\nworkers = { coordinator = "a" }')
    with pytest.raises(ConfigurationError, match=r"some\.toml: conductor: .*the coordinator's own"):
        load_config(path).conductor()


def test_a_provider_that_is_not_installed_is_told_with_file_and_key(write: Callable[[str], Path]) -> None:
    path = write('[providers.a]\nuse = "opnai"\nmodel = "m"')
    with pytest.raises(PluginError, match=r"some\.toml: providers\.a: .*did you mean 'openai'"):
        load_config(path).provider("a")


def test_errors_keep_their_class_and_what_they_know(
    write: Callable[[str], Path], vendor: Callable[..., type[Provider]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cause = OSError("no route")

    def init(self: Any, model: str) -> None:
        raise RateLimitError("slow down", provider="acme", status_code=429, retry_after=3.0) from cause

    cls = type("Acme", (vendor(),), {"__init__": init, "__module__": __name__})
    monkeypatch.setattr(tako.hooks.PLUGINS, "_classes", {**tako.hooks.PLUGINS._classes, "acme": cls})
    path = write('[providers.a]\nuse = "acme"\nmodel = "m"')
    with pytest.raises(RateLimitError) as caught:
        load_config(path).provider("a")
    assert (caught.value.retry_after, caught.value.status_code, caught.value.__cause__) == (3.0, 429, cause)
    assert f"{path}: providers.a: slow down" in str(caught.value)


def test_a_constructor_that_chokes_is_told_with_file_and_key(
    write: Callable[[str], Path], vendor: Callable[..., type[Provider]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(self: Any, model: str, **options: Any) -> None:
        raise AttributeError("'int' object has no attribute 'items'")

    cls = type("Acme", (vendor(),), {"__init__": init, "__module__": __name__})
    monkeypatch.setattr(tako.hooks.PLUGINS, "_classes", {**tako.hooks.PLUGINS._classes, "acme": cls})
    path = write('[providers.a]\nuse = "acme"\nmodel = "m"\nthings = 5')
    with pytest.raises(ConfigurationError, match=r"some\.toml: providers\.a: acme:m refuses its options: Attribute"):
        load_config(path).provider("a")


# --- secrets


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('api_key = "sk-real"', "api_key"),
        ('token = "sk-real"', "token"),
        ('access_token = "sk-real"', "access_token"),
        ('headers = { Authorization = "Bearer sk-real" }', "headers.Authorization"),
        ('headers = { "x-api-key" = "sk-real" }', "headers.x-api-key"),
        ('headers = [{ name = "X-Api-Key", value = "sk-real" }]', "headers[0].value"),
        ('headers = [["x-api-key", "sk-real"]]', "headers[0][1]"),
        ('proxy = "http://me:sk-real@proxy:3128"', "proxy"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(line: str, key: str, write: Callable[[str], Path]) -> None:
    text = f'[providers.a]\nuse = "openai"\nmodel = "m"\n{line}\n'
    with pytest.raises(ConfigurationError) as caught:
        load_config(write(text))
    assert f"providers.a.{key} holds a secret itself" in str(caught.value)
    assert "$ENV:NAME" in str(caught.value)
    assert "allow_secrets" in str(caught.value)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "sk-real" not in shown.replace(text, "").replace(repr(line), "").replace(repr(text), "")
    config = load_config(write("allow_secrets = true\n" + text))
    assert "sk-real" not in repr(config)


@pytest.mark.parametrize(
    "line", ['api_key = "$ENV:MY_KEY"', 'headers = { authorization = "Bearer $ENV:MY_KEY" }', "default_max_tokens = 5"]
)
def test_a_variable_that_holds_one_is_fine(line: str, write: Callable[[str], Path]) -> None:
    config = load_config(write(f'[providers.a]\nuse = "anthropic"\nmodel = "m"\n{line}\n'))
    assert config.provider("a", **({} if "api_key" in line else {"api_key": "k"})).id == "anthropic:m"


def test_where_options_fail_no_secret_is_in_the_traceback(write: Callable[[str], Path]) -> None:
    path = write('allow_secrets = true\n[providers.a]\nuse = "openai"\nmodel = "m"\napi_key = "sk-real"\ntimeout = -1')
    with pytest.raises(ConfigurationError) as caught:
        load_config(path).provider("a")
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "sk-real" not in shown


# --- where it is found


def test_the_order_of_the_search(write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(name: str) -> str:
        return f'default = "{name}"\n[providers.{name}]\nuse = "ollama:{name}"'

    with pytest.raises(ConfigurationError, match=r"neither TAKO_CONFIG nor \./tako\.toml nor .*tako\.toml"):
        load_config()
    own = user_config()
    assert own is not None
    own.parent.mkdir(parents=True)
    own.write_text(of("user"))
    assert load_config().default == "user"
    (tmp_path / "cwd" / "tako.toml").write_text(of("here"))
    assert main(["trust", "--yes"]) == 0
    assert load_config().default == "here"
    (tmp_path / "named.toml").write_text(of("named"))
    monkeypatch.setenv("TAKO_CONFIG", str(tmp_path / "named.toml"))
    assert load_config().default == "named"
    assert load_config(write(of("given"))).default == "given"


def test_a_file_that_is_named_and_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cwd" / "tako.toml").write_text("")
    with pytest.raises(ConfigurationError, match=r"gone\.toml: no such file;"):
        load_config("gone.toml")
    monkeypatch.setenv("TAKO_CONFIG", "gone.toml")
    with pytest.raises(ConfigurationError, match=r"gone\.toml: no such file \(TAKO_CONFIG\)"):
        load_config()


def test_a_path_that_is_empty_or_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the path of a configuration is empty"):
        load_config("")
    with pytest.raises(ConfigurationError, match=r"can't be read: Is a directory"):
        load_config(tmp_path)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"odd\.toml: can't be read"):
        load_config(tmp_path / "odd.toml")


# --- vendors change by editing the file only


def test_vendors_change_by_editing_the_file_only(write: Callable[[str], Path]) -> None:
    def answer(received: Received) -> Reply:
        if received.path == "/v1/messages":
            content = [{"type": "text", "text": "from Anthropic"}]
            return reply(json={"id": "a", "role": "assistant", "content": content, "stop_reason": "end_turn"})
        if received.path == "/api/chat":
            message = {"role": "assistant", "content": "from Ollama"}
            return reply(json={"model": "m", "message": message, "done": True, "done_reason": "stop"})
        tasks = [{"name": "code", "task": "Write it"}]
        text = json.dumps({"workers": tasks, "next_step": "halt"}) if "plan" in str(received.json) else "from OpenAI"
        message = {"role": "assistant", "content": text}
        return reply(json={"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    text = """
        [providers.worker]
        use = "{use}"
        model = "m"
        capabilities = {{ supports_streaming = false }}
        base_url = "{url}"
        {key}
        [providers.lead]
        use = "openai:m"
        base_url = "{url}"
        api_key = "$ENV:MY_KEY"
        [conductor]
        coordinator = "lead"
        workers = {{ code = "worker" }}
    """

    async def program(path: Path) -> str:
        async with load_config(path).conductor() as conductor:
            return (await conductor.run("Do it")).text

    key = 'api_key = "$ENV:MY_KEY"'
    with serve(answer) as server:
        for use, expected in (("anthropic", "Anthropic"), ("ollama", "Ollama"), ("openai", "OpenAI")):
            path = write(text.format(use=use, url=server.url, key=key))
            assert asyncio.run(program(path)) == f"from {expected}"


@pytest.mark.usefixtures("llamacpp")
def test_two_embedded_models_work_for_real(write: Callable[[str], Path]) -> None:
    path = write(
        """
        [providers.one]
        use = "llamacpp"
        n_ctx = 512
        [providers.two]
        use = "llamacpp"
        n_ctx = 768
        [conductor]
        workers = { one = "one", two = "two" }
        """
    )
    request = tako.ChatRequest(
        [tako.Message.system("Be brief."), tako.Message.user("What is the capital of France?")],
        temperature=0.0,
        max_tokens=12,
    )

    async def main() -> Any:
        async with load_config(path).conductor() as conductor:
            assert conductor.workers["one"] is not conductor.workers["two"]
            return await conductor.run(request)

    result = asyncio.run(main())
    assert [one.state for one in result.steps[0].results] == ["done", "done"]
    assert all("Paris" in one.text for one in result.steps[0].results)
    assert {role: usage.input_tokens for role, usage in result.usage_by_role.items()} == {"one": 24, "two": 24}
