"""Wrong settings are one line with the option, before anything is sent."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tako_http_generic import EXAMPLES, HttpGeneric, NdJson, OpenAiSse, ToolCalls

from tako import Capabilities
from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://gateway.example/chat"
BODY = {"m": "{{ messages }}"}
LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"body_template": {"a": ["{{ mesages }}"]}}, "body_template/a/0: there is no placeholder '{{ mesages }}'"),
        (
            {"body_template": {"a": "Say: {{ model }}"}},
            "body_template/a: 'Say: {{ model }}' has text around its placeholder",
        ),
        ({"body_template": {"{{ model }}": 1}}, "body_template has a placeholder as the key '{{ model }}'"),
        ({"body_template": {"a": {1: 2}}}, "body_template/a has the key 1; keys of JSON objects are text"),
        ({"body_template": {"a": {1, 2}}}, "body_template/a is a set, which JSON doesn't have"),
        ({"body_template": {"a": float("nan")}}, "body_template/a is nan, which JSON doesn't have"),
        ({"body_template": {"a": "\ud800"}}, "body_template/a can't be JSON: "),
        ({"stream_body_template": {"a": "{{ x }}"}}, "stream_body_template/a: there is no placeholder '{{ x }}'"),
        ({"response_text_pointer": "text"}, "response_text_pointer='text' isn't a JSON pointer: "),
        ({"response_text_pointer": "/a/~2"}, "response_text_pointer='/a/~2' isn't a JSON pointer: "),
        ({"response_text_pointer": []}, "response_text_pointer is an empty list"),
        ({"usage_pointer": ["/a", "b"]}, "usage_pointer='b' isn't a JSON pointer: "),
        ({"tool_calls": "calls"}, "tool_calls.pointer='calls' isn't a JSON pointer: "),
        ({"tool_calls": {"place": "/a"}}, "tool_calls: Object contains unknown field `place`"),
        ({"stream_config": {"kind": "sse"}}, "stream_config: Invalid value 'sse' - at `$.kind`"),
        ({"stream_config": {"kind": "ndjson"}}, "stream_config: Object missing required field `content_pointer`"),
        ({"stream_config": NdJson(content_pointer="x")}, "stream_config.content_pointer='x' isn't a JSON pointer"),
        ({"stream_config": ToolCalls(pointer="/a")}, "stream_config is a ToolCalls, which doesn't belong there"),
        ({"capabilities": {"max_tokens": 5}}, "capabilities has no 'max_tokens' (known: max_context_tokens, "),
        ({"headers": [("X-A", "a\nb")]}, "the header x-a contains a line break or another control character"),
        ({"headers": {"X A": "b"}}, "'x a' isn't the name of a header"),
        ({"headers": [("X-A", "$NOT_SET_9")]}, "the header X-A reads NOT_SET_9, which isn't set"),
        ({"headers": [("X-A", "5 $")]}, "the header X-A has a $ without a name: write $$ for a dollar"),
        ({"headers": [("X-A", "a"), ("x-a", "b")]}, "the header x-a appears twice"),
        ({"headers": [("X-A",)]}, "headers are pairs of texts (name, value)"),
        ({"url": "ftp://x/y"}, "url='ftp://x/y' isn't a base URL"),
        ({"url": "https://h/{{ user }}"}, "has a placeholder that isn't {{ model }}"),
        ({"url": "https://h/a?b c"}, "has a query with a space"),
        ({"method": "post it"}, "method='post it' isn't an HTTP method"),
        (
            {"messages_format": "gemini"},
            "messages_format='gemini' isn't known (known: tako, openai, anthropic, ollama)",
        ),
        ({"finish_reasons": {"x": "done"}}, "finish_reasons.x is 'done', not one of stop, length"),
        ({"error_codes": {"429": "TooMany"}}, "error_codes.429 is 'TooMany', which isn't a class of ProviderError"),
        (
            {"error_codes": {"429": "ConfigurationError"}},
            "error_codes.429 is 'ConfigurationError', which isn't a class",
        ),
        ({"usage_fields": {"tokens": "/a"}}, "usage_fields has 'tokens' (known: input_tokens"),
        ({"defaults": {"mood": 1}}, "a request has no option 'mood'"),
        ({"timeout": 0}, "timeout is a number of seconds above 0"),
        ({"colour": "red"}, "HttpGeneric has no option 'colour'"),
    ],
)
def test_wrong_settings_are_one_line_with_the_provider_and_the_option(changes: dict[str, Any], message: str) -> None:
    settings = {"id": "acme", "model": "large", "url": URL, "body_template": BODY, **changes}
    with pytest.raises(ConfigurationError, match=re.escape(message)) as raised:
        HttpGeneric(**settings)
    assert str(raised.value).startswith("acme:large: ")
    assert "\n" not in str(raised.value)


def test_a_template_that_contains_itself_is_one_line() -> None:
    with pytest.raises(
        ConfigurationError, match=r"^http-generic: body_template is nested too deeply, or holds itself$"
    ):
        HttpGeneric("acme", "m", URL, LOOP)


def test_an_id_must_be_a_name_and_a_model_is_required() -> None:
    for bad in ("", "a:b", "a b"):
        with pytest.raises(ConfigurationError, match="isn't a valid name"):
            HttpGeneric(bad, "m", URL, BODY)
    with pytest.raises(ConfigurationError, match="acme: no model is named; write acme:MODEL"):
        HttpGeneric("acme", "", URL, BODY)


def test_capabilities_are_declared_or_follow_from_the_settings() -> None:
    assert HttpGeneric("a", "m", URL, BODY).capabilities.supports_tools is False
    full = HttpGeneric("a", "m", URL, {**BODY, "t": "{{ tools }}"}, tool_calls="/calls", stream_config=OpenAiSse())
    assert (full.capabilities.supports_tools, full.capabilities.supports_streaming) == (True, True)
    patched = HttpGeneric("a", "m", URL, BODY, capabilities={"max_context_tokens": 9, "supports_vision": True})
    assert (patched.capabilities.max_context_tokens, patched.capabilities.supports_vision) == (9, True)
    declared = HttpGeneric("a", "m", URL, BODY, capabilities=Capabilities(max_context_tokens=9))
    assert (declared.capabilities.max_context_tokens, declared.capabilities.supports_streaming) == (9, False)


TOML = """
id = "acme"
model = "large"
url = "https://gateway.example/chat"
response_text_pointer = "/answer"
headers = [["x-team", "blue"]]
[body_template]
messages = "{{ messages }}"
[stream_config]
kind = "ndjson"
content_pointer = "/piece"
finish_reason_pointer = "/end"
[capabilities]
max_context_tokens = 1000
"""


def test_a_file_is_the_same_in_toml_and_json(tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(TOML)
    data = {
        "id": "acme",
        "model": "large",
        "url": "https://gateway.example/chat",
        "body_template": {"messages": "{{ messages }}"},
        "stream_config": {"kind": "ndjson", "content_pointer": "/piece", "finish_reason_pointer": "/end"},
        "capabilities": {"max_context_tokens": 1000},
    }
    (tmp_path / "acme.json").write_text(json.dumps(data))
    for name in ("acme.toml", "acme.json"):
        provider = HttpGeneric.from_file(tmp_path / name)
        assert provider.id == "acme:large"
        assert provider.capabilities.max_context_tokens == 1000
        assert provider.capabilities.supports_streaming is True
        assert HttpGeneric.from_file(str(tmp_path / name), "small", timeout=5).id == "acme:small"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('url = "https://gateway.example/chat"\n', ""), "Object missing required field `url`"),
        (('"large"', "5"), "Expected `str`, got `int` - at `$.model`"),
        (("max_context", "context"), "capabilities has no 'context_tokens'"),
        (('"/piece"', "3"), "- at `$.stream_config.content_pointer`"),
        (('"ndjson"', '"lines"'), "Invalid value 'lines' - at `$.stream_config.kind`"),
        (("{{ messages }}", "{{ message }}"), "acme:large: body_template/messages: there is no placeholder"),
        (('"/answer"', '"answer"'), "acme:large: response_text_pointer='answer' isn't a JSON pointer"),
        (("blue", "$NOT_SET_9"), "acme:large: the header x-team reads NOT_SET_9, which isn't set"),
        (("[body_template]", "[body_template"), "can't be parsed: "),
        (('id = "acme"', 'id = "acme"\ncolour = "red"'), "Object contains unknown field `colour`"),
    ],
)
def test_errors_of_a_file_name_the_file_and_the_option(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "acme.toml"
    path.write_text(TOML.replace(*change))
    with pytest.raises(ConfigurationError, match=re.escape(message)) as raised:
        HttpGeneric.from_file(path)
    assert str(raised.value).startswith(f"{path}")
    assert str(raised.value).count(str(path)) == 1
    assert "\n" not in str(raised.value)


def test_errors_of_an_unreadable_file_name_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml can't be read: No such file"):
        HttpGeneric.from_file(tmp_path / "none.toml")
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(ConfigurationError, match=r"bad\.json can't be parsed: "):
        HttpGeneric.from_file(tmp_path / "bad.json")


def test_the_example_files_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "CO_API_KEY"):
        monkeypatch.setenv(name, "k")
    names = sorted(file.name for file in EXAMPLES.iterdir() if file.name.endswith(".toml"))
    assert names == ["anthropic.toml", "cohere.toml", "ollama.toml", "openai.toml"]
    for name in names:
        provider = HttpGeneric.from_file(EXAMPLES / name, "m")
        assert provider.capabilities.supports_streaming
        assert provider.capabilities.supports_tools
