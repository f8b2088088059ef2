"""Addresses that cannot be right: refused before the network, without the passwords and keys that are in them."""

from __future__ import annotations

import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from tako import providers
from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

MAKE: dict[str, Callable[[str], Any]] = {
    "OpenAI": lambda url: providers.OpenAI("m", api_key="k", base_url=url),
    "Anthropic": lambda url: providers.Anthropic("m", api_key="k", base_url=url),
    "AzureOpenAI": lambda url: providers.AzureOpenAI("m", api_key="k", endpoint=url),
    "Mistral": lambda url: providers.Mistral("m", api_key="k", base_url=url),
    "Ollama": lambda url: providers.Ollama("m", base_url=url),
    "Bedrock": lambda url: providers.Bedrock("m", region="us-east-1", endpoint_url=url),
    "Vertex": lambda url: providers.Vertex("m", access_token="t", project_id="p", endpoint_url=url),
    "HttpGeneric": lambda url: providers.HttpGeneric("g", "m", url, {"q": "{{ messages }}"}, "/t"),
}
SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@acme.example/v1",
        f"http://{SECRET}@acme.example/v1",
        f"https://user:{SECRET}@acme.example:99999/v1",
        f"https://user:{SECRET}@acme.example:port/v1",
        f"https://user:{SECRET}/2@acme.example/v1",
        f"https://user:{SECRET}?2@acme.example/v1",
        f"https://user:{SECRET}@[::1/v1",
        f"ftp://user:{SECRET}@acme.example/v1",
        f"https://us\u212aer:{SECRET}\u2100@acme.example/v1",
    ],
)
@pytest.mark.parametrize("name", MAKE)
def test_a_password_in_an_address_is_refused_and_not_repeated(name: str, url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL") as caught:
        MAKE[name](url)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(pickle.dumps(error))
    assert SECRET not in shown


@pytest.mark.parametrize("name", ["OpenAI", "Anthropic", "AzureOpenAI", "Mistral", "Bedrock", "Vertex"])
def test_a_key_in_the_query_of_a_base_url_is_not_repeated(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"='https://acme\.example/v1' isn't a base URL") as caught:
        MAKE[name](f"https://acme.example/v1?key={SECRET}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("between", ["\n", "\r\n", "\x00", "\x1b[2K", "\x85", "\u2028", " ", "/\n", "/v1\n"])
def test_a_key_that_was_pasted_behind_an_address_is_not_repeated(between: str) -> None:
    with pytest.raises(ConfigurationError, match=r"='https://acme\.example.*' isn't a base URL") as caught:
        MAKE["OpenAI"](f"https://acme.example{between}{SECRET}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-proj-0123456789abcdef", "AIzaSyExample0123456789", "eyJhbGciOi.eyJzdWIi.c2lnbmF0"])
def test_a_key_in_the_place_of_an_address_is_not_repeated(key: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url isn't a base URL") as caught:
        MAKE["OpenAI"](key)
    assert key not in str(caught.value)
