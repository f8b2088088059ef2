"""Requests without a turn of the user's: what each vendor is sent instead, and what is refused before the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from tako import ChatRequest, ContentPart, Message, Provider, UnsupportedError
from tako.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

ALL = ["openai", "azure-openai", "anthropic", "mistral", "ollama", "bedrock", "vertex"]
USER_FIRST = ["anthropic", "bedrock", "mistral", "vertex"]
"""Vendors that refuse a request in which the system alone speaks."""
TIFF = ContentPart.image("image/tiff", "AAAA")


class Vendor:
    """A provider whose vendor says "ok" to anything, and the bodies that it was sent."""

    def __init__(self, name: str, at: Callable[..., Provider], answers: dict[str, Any]) -> None:
        self.bodies: list[Any] = []
        self._answer = answers[name]
        self.provider = at(name, "https://vendor.test", transport=httpx.MockTransport(self._take))

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(msgspec.json.decode(request.content))
        return httpx.Response(200, json=self._answer)


@pytest.fixture
def vendor(request: pytest.FixtureRequest, at: Callable[..., Provider], answers: dict[str, Any]) -> Vendor:
    return Vendor(request.param, at, answers)


@pytest.mark.parametrize("vendor", USER_FIRST, indirect=True)
def test_where_the_system_alone_speaks_its_text_goes_out_as_the_users_and_is_noted(vendor: Vendor) -> None:
    request = ChatRequest([Message.system("Say hello.")])
    response = vendor.provider.blocking.chat(request)
    (body,) = vendor.bodies
    (turn,) = body.get("messages") or body["contents"]
    assert turn["role"] == "user"
    assert "Say hello." in str(turn)
    assert not body.keys() & {"system", "systemInstruction"}
    assert [(notice.code, notice.path) for notice in response.notices] == [("changed_part", "messages")]
    with pytest.raises(UnsupportedError, match="the request has none"):
        vendor.provider.blocking.chat(msgspec.structs.replace(request, strict=True))
    assert len(vendor.bodies) == 1


@pytest.mark.parametrize("vendor", [name for name in ALL if name not in USER_FIRST], indirect=True)
def test_elsewhere_the_system_may_speak_alone(vendor: Vendor) -> None:
    assert vendor.provider.blocking.chat([Message.system("Say hello.")]).notices == []
    assert vendor.bodies[0]["messages"] == [{"role": "system", "content": "Say hello."}]


@pytest.mark.parametrize("messages", [[Message.user([TIFF])], [Message.system(""), Message.user([])]])
@pytest.mark.parametrize("vendor", ALL, indirect=True)
def test_a_request_of_which_nothing_is_left_is_refused_before_the_network(
    vendor: Vendor, messages: list[Message]
) -> None:
    with pytest.raises(ConfigurationError, match=r"has nothing to send: .*(image/tiff|empty)"):
        vendor.provider.blocking.chat(messages)
    with pytest.raises(ConfigurationError, match="has nothing to send"):
        list(vendor.provider.blocking.stream(messages))
    with pytest.raises(UnsupportedError, match=r"(image/tiff|empty)"):
        vendor.provider.blocking.chat(ChatRequest(messages, strict=True))
    assert vendor.bodies == []


@pytest.mark.parametrize("vendor", ["anthropic", "bedrock"], indirect=True)
def test_a_turn_of_the_models_may_not_come_first(vendor: Vendor) -> None:
    with pytest.raises(ConfigurationError, match="the first message must be the user's"):
        vendor.provider.blocking.chat([Message.assistant("Hello, I am here to help.")])
    assert vendor.bodies == []
