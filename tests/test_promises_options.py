"""Whatever a caller gets wrong in a provider's options is one line that names the option and shows no secret."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import pytest

import tako
from tako.errors import ConfigurationError, PluginError, TakoError
from tako.kit.http import HttpOptions

if TYPE_CHECKING:
    from tako.provider import Provider

GOOD: dict[str, dict[str, Any]] = {
    "OpenAI": {"model": "m", "api_key": "k"},
    "Anthropic": {"model": "m", "api_key": "k"},
    "AzureOpenAI": {"endpoint": "https://acme.example", "deployment": "d", "api_key": "k"},
    "Bedrock": {"model": "m", "region": "us-east-1"},
    "Vertex": {"model": "m", "project_id": "p", "access_token": "t"},
    "Mistral": {"model": "m", "api_key": "k"},
    "Ollama": {"model": "m"},
    "HttpGeneric": {"id": "gate", "model": "m", "url": "https://acme.example/x", "body_template": {}},
    "PythonProvider": {"id": "py", "chat": str},
}
DEFAULTS = {
    ("OpenAI", "base_url"): "https://api.openai.com/v1",
    ("Anthropic", "base_url"): "https://api.anthropic.com",
    ("Anthropic", "default_max_tokens"): None,
    ("Anthropic", "version"): "2026-10-21",
    ("AzureOpenAI", "api_version"): None,
    ("Bedrock", "url_prefetch"): False,
    ("Vertex", "location"): "global",
    ("Mistral", "base_url"): "https://api.mistral.ai/v1",
    ("Ollama", "base_url"): "http://localhost:11434",
    ("Ollama", "url_prefetch"): False,
    ("HttpGeneric", "response_text_pointer"): "/text",
    ("HttpGeneric", "method"): "POST",
    ("PythonProvider", "max_context_tokens"): 32_000,
}
VARIABLES = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_HOST", "OPENAI_API_VERSION", "GOOGLE_CLOUD_LOCATION")
JUNK: list[Any] = [
    *(None, 5, -1, 0, 1.5, math.nan, math.inf, True, 10**400, "", "x", "a\nb", "\ud800", b"x", object()),
    *(
        [],
        [5],
        [None],
        {},
        {"a": 1},
        {"A b": "x"},
        {"x": "a\nb"},
        {"x": 5},
        {5: "x"},
        {"x": None},
        set[str](),
        ("a", "b"),
    ),
]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", GOOD)
def test_an_option_of_a_wrong_type_is_one_line(name: str) -> None:
    cls = getattr(tako.providers, name)
    parameters = inspect.signature(cls).parameters.values()
    options = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        options += [*HttpOptions.__annotations__, "nonsense"]
    for option in options:
        for value in JUNK:
            try:
                cls(**{**GOOD[name], option: value})
            except Exception as error:  # noqa: BLE001 - whatever comes bare is the fault
                if not isinstance(error, TakoError) or "\n" in str(error):
                    pytest.fail(f"{name}({option}={value!r}) raised {error!r}")


@pytest.mark.parametrize("option", ["max_retries", "timeout", "max_reply_bytes", "trust_env", "headers"])
@pytest.mark.parametrize("value", ["5", None, [5]], ids=repr)
def test_the_option_is_named_when_it_is_given(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"openai:m: {option} is "):
        tako.providers.OpenAI("m", api_key="k", **{option: value})


def test_a_key_of_a_wrong_type_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        tako.providers.OpenAI("m", api_key=[b"the-canary"])  # type: ignore[arg-type] # the mistake
    assert str(caught.value) == "openai: api_key is a list, not a str"


def test_a_key_from_no_variable_is_one_line() -> None:
    with pytest.raises(ConfigurationError, match=r"openai: api_key is '\$ENV:' without the name of a variable"):
        tako.providers.OpenAI("m", api_key="$ENV:")


@pytest.mark.parametrize(("name", "option"), DEFAULTS)
def test_a_default_shows_in_the_signature_and_holds(name: str, option: str) -> None:
    cls = getattr(tako.providers, name)
    assert inspect.signature(cls).parameters[option].default == DEFAULTS[name, option]
    vendor_provider = cls(**GOOD[name])
    if isinstance(DEFAULTS[name, option], str) and hasattr(vendor_provider, option):
        assert getattr(vendor_provider, option) == DEFAULTS[name, option]


def test_the_environment_goes_before_a_default_and_an_option_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://of.the.environment/v1")
    default = inspect.signature(tako.providers.OpenAI).parameters["base_url"].default
    for nothing in (default, None):
        assert tako.providers.OpenAI("m", api_key="k", base_url=nothing).base_url == "https://of.the.environment/v1"
    base_url = "https://api.openai.com/v1"  # equal to the default, and given all the same
    assert tako.providers.OpenAI("m", api_key="k", base_url=base_url).base_url == base_url


@pytest.mark.parametrize("id", [5, None, "", ":m"])
def test_an_id_that_names_no_provider_is_one_line(id: Any) -> None:
    with pytest.raises(PluginError, match=r"a provider's id is text, as in 'openai:gpt-6\.2-sol'"):
        tako.get_provider(id)


def test_an_id_without_a_model_says_where_it_goes() -> None:
    with pytest.raises(ConfigurationError, match="openai needs a model, as in openai:MODEL"):
        tako.get_provider("openai", api_key="k")


@pytest.mark.parametrize("plugin", [None, "my_plugin", 5, [], {}], ids=repr)
def test_a_plain_value_is_no_plugin(plugin: Any) -> None:
    with pytest.raises(PluginError, match="a plugin is a module, or an object with hooks"):
        tako.register(plugin)


def echo() -> Provider:
    return tako.providers.PythonProvider("py", str)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": None}, "workers is None"),
        ({"workers": {5: echo()}}, "a role is a word, not 5"),
        ({"workers": {"": echo()}}, "a role is a word, not ''"),
        ({"system": 5}, "system is a str, not an int"),
        ({"fail_fast": 1}, "fail_fast is True or False, not 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_in_a_conductor_is_named(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"workers": {"one": echo()}, **options}
    with pytest.raises(ConfigurationError, match=message):
        tako.Conductor(**arguments)


@pytest.mark.parametrize("path", [5, b"tako.toml", []], ids=repr)
def test_a_path_that_is_none_is_one_line(path: Any) -> None:
    with pytest.raises(ConfigurationError, match="the path of a configuration is a str or a Path"):
        tako.load_config(path)
