"""A server that answers with the other one of OpenAI's two APIs: the error says which it is, and what to set."""

from __future__ import annotations

from typing import Any

import pytest
from tako_openai import OpenAI

from tako.errors import ResponseError
from tako.testing.dialects import Script, scripted


@pytest.mark.parametrize("way", ["chat", "stream"])
@pytest.mark.parametrize(
    ("answers", "options", "message"),
    [
        ("responses", {}, 'this is a reply of the Responses API; set api="responses" to read it: '),
        ("completions", {"api": "responses"}, 'this is a reply of Chat Completions; set api="chat" to read it: '),
    ],
)
def test_the_error_names_the_api_and_the_option(answers: str, options: dict[str, Any], message: str, way: str) -> None:
    with scripted(answers, Script(text="Hello")) as server:
        model = OpenAI("m", api_key="k", base_url=server.url, **options).blocking
        with pytest.raises(ResponseError) as caught:
            model.chat("Hi") if way == "chat" else model.stream("Hi").response()
    assert f"openai:m: {message}" in str(caught.value)
