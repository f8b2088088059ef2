"""Every vendor, every way of giving an image: what is on the wire, or the notice in its place (DESIGN section 8)."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest

from tako import ChatRequest, ContentPart, Message, Provider, Role, Tool, UnsupportedError, UrlPrefetch, notices
from tako.parts import Part, ToolResultPart
from tako.testing.server import reply, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., tuple[Any, list[tuple[str, str]]]]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
GIF = "R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="
JPEG = "/9j/4AAQSkZJRgABAQ=="
WEBP = "UklGRhoAAABXRUJQVlA4"
TYPES = {"image/jpeg": JPEG, "image/png": PNG, "image/gif": GIF, "image/webp": WEBP}
URL = "https://pictures.test/a/photo.jpg?size=1"
WEB = ("openai", "azure-openai", "anthropic", "mistral", "vertex")
"""Vendors that fetch addresses themselves."""
FETCHED = ("ollama", "bedrock")
"""Vendors for which tako has to."""
ALL = (*WEB, *FETCHED)
RESULT_IMAGES = ("anthropic", "ollama", "bedrock", "vertex")
"""Vendors whose tool results may hold images; at the others they follow the results."""
BITMAP = "Qk1GAAAAAAAAADYAAAAoAAAA"
"""The beginning of a BMP."""
PATH = "messages[0].content[1]"


@pytest.fixture
def send_request(at: Callable[..., Provider], answers: dict[str, Any]) -> Ask:
    """Send a request; return the body on the wire, and the notices' codes and paths."""

    def send(name: str, request: ChatRequest, **options: Any) -> tuple[Any, list[tuple[str, str]]]:
        with serve(reply(json=answers[name])) as server:
            response = at(name, server.url, **options).blocking.chat(request)
        assert {notice.provider for notice in response.notices} <= {name}
        return server.requests[0].json, [(notice.code, notice.path) for notice in response.notices]

    return send


@pytest.fixture
def ask(send_request: Ask) -> Ask:
    """Send parts as one message of the user's; return the message on the wire, and the notices' codes and paths."""

    def send_parts(name: str, *parts: Part, **options: Any) -> tuple[Any, list[tuple[str, str]]]:
        body, response_notices = send_request(name, ChatRequest([Message(Role.USER, list(parts))]), **options)
        return (body["contents"] if name == "vertex" else body["messages"])[0], response_notices

    return send_parts


def text(name: str, value: str) -> Any:
    return {"text": value} if name in ("bedrock", "vertex") else {"type": "text", "text": value}


def inline(name: str, mime: str, data: str) -> Any:
    """Section 8's column "inline"."""
    match name:
        case "anthropic":
            return {"type": "image", "source": {"type": "base64", "media_type": mime, "data": data}}
        case "vertex":
            return {"inlineData": {"mimeType": mime, "data": data}}
        case "bedrock":
            return {"image": {"format": mime.removeprefix("image/"), "source": {"bytes": data}}}
        case _:
            return {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{data}"}}


def remote(name: str, url: str, mime: str = "image/jpeg") -> Any:
    """Section 8's column "URL"."""
    match name:
        case "anthropic":
            return {"type": "image", "source": {"type": "url", "url": url}}
        case "vertex":
            return {"fileData": {"mimeType": mime, "fileUri": url}}
        case _:
            return {"type": "image_url", "image_url": {"url": url}}


def user_message(name: str, *blocks: Any) -> Any:
    """The user's message that holds these blocks."""
    if name != "ollama":
        return {"role": "user", ("parts" if name == "vertex" else "content"): list(blocks)}
    images = [block["image_url"]["url"].partition(",")[2] for block in blocks if "image_url" in block]
    joined = "".join([block.get("text", "") for block in blocks])
    return {"role": "user", "content": joined, **({"images": images} if images else {})}


def said_text(name: str, value: str) -> Any:
    """The user's message of one text alone."""
    if name in ("bedrock", "vertex"):
        return user_message(name, text(name, value))
    return {"role": "user", "content": value}


LOOK = ContentPart.text("Look:")

ACCEPTED = {
    "bare base64": (ContentPart.image("image/png", PNG), "image/png", PNG),
    "a data: prefix": (ContentPart.image("image/png", f"data:image/png;base64,{PNG}"), "image/png", PNG),
    "a data: prefix with parameters": (
        ContentPart.image("image/gif", f"data:image/gif;a=b;base64,{GIF}"),
        "image/gif",
        GIF,
    ),
    "a data: prefix that has the type": (ContentPart.image("", f"data:image/gif;base64,{GIF}"), "image/gif", GIF),
    "a data: URL as an address": (ContentPart.image_url(f"data:image/png;base64,{PNG}"), "image/png", PNG),
    "another name of the type": (ContentPart.image("image/jpg", JPEG), "image/jpeg", JPEG),
    "an upper-case type": (ContentPart.image("IMAGE/PNG", PNG), "image/png", PNG),
    "an upper-case data: URL": (ContentPart.image_url(f"DATA:IMAGE/PNG;BASE64,{PNG}"), "image/png", PNG),
    "white space in base64": (ContentPart.image("image/png", f"\n{PNG[:20]}\r\n {PNG[20:]}\t"), "image/png", PNG),
    "a usual misspelling of a type": (ContentPart.image("image/jpg", JPEG), "image/jpeg", JPEG),
    "bytes": (ContentPart.image_bytes(b64decode(GIF)), "image/gif", GIF),
}
REFUSED = {
    "an unsupported type": (ContentPart.image("image/bmp", BITMAP), notices.UNSUPPORTED_MEDIA_TYPE),
    "a type that is nearly one": (ContentPart.image("image/pngx", BITMAP), notices.UNSUPPORTED_MEDIA_TYPE),
    "an unsupported data: URL": (ContentPart.image_url("data:image/bmp;base64,Qk0="), notices.UNSUPPORTED_MEDIA_TYPE),
    "broken base64": (ContentPart.image("image/png", f"{PNG[:-8]}*&%$"), notices.INVALID_IMAGE),
    "cut base64": (ContentPart.image("image/png", PNG[:-1]), notices.INVALID_IMAGE),
    "no bytes": (ContentPart.image("image/png", ""), notices.INVALID_IMAGE),
    "no bytes in a data: URL": (ContentPart.image_url("data:image/png;base64,"), notices.INVALID_IMAGE),
    "an empty text": (ContentPart.text(""), notices.EMPTY_TEXT),
    "a file's address": (ContentPart.image_url("file:///etc/passwd", "image/png"), notices.UNSUPPORTED_URL),
    "an address without a host": (ContentPart.image_url("https:", "image/png"), notices.UNSUPPORTED_URL),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("image", ACCEPTED)
def test_an_inline_image_goes_out_in_the_vendors_shape(name: str, image: str, ask: Ask) -> None:
    part, mime, data = ACCEPTED[image]
    assert ask(name, LOOK, part) == (user_message(name, text(name, "Look:"), inline(name, mime, data)), [])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("mime", TYPES)
def test_four_types_go_everywhere(name: str, mime: str, ask: Ask) -> None:
    shape = inline(name, mime, TYPES[mime])
    assert ask(name, LOOK, ContentPart.image(mime, TYPES[mime])) == (user_message(name, text(name, "Look:"), shape), [])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("declared", ["image/jpeg", "image/bmp", "application/pdf"])
def test_the_first_bytes_decide_what_an_image_is(name: str, declared: str, ask: Ask) -> None:
    """A vendor compares them, too, and refuses what is labelled wrongly."""
    for part in (ContentPart.image(declared, PNG), ContentPart.file(declared, PNG)):
        shape = inline(name, "image/png", PNG)
        assert ask(name, LOOK, part) == (user_message(name, text(name, "Look:"), shape), [(notices.CHANGED_PART, PATH)])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("image", REFUSED)
def test_what_cannot_be_carried_is_left_out_with_a_notice(name: str, image: str, ask: Ask) -> None:
    part, code = REFUSED[image]
    assert ask(name, LOOK, part) == (said_text(name, "Look:"), [(code, PATH)])


@pytest.mark.parametrize("name", ALL)
def test_strict_refuses_before_the_network(name: str, at: Callable[..., Provider], answers: dict[str, Any]) -> None:
    request = ChatRequest([Message.user([LOOK, ContentPart.image("image/bmp", BITMAP)])], strict=True)
    with serve(reply(json=answers[name])) as server, pytest.raises(UnsupportedError, match="image/bmp"):
        at(name, server.url).blocking.chat(request)
    assert server.connections == 0


@pytest.mark.parametrize("name", WEB)
def test_an_address_goes_to_vendors_that_fetch(name: str, ask: Ask) -> None:
    assert ask(name, LOOK, ContentPart.image_url(URL)) == (
        user_message(name, text(name, "Look:"), remote(name, URL)),
        [],
    )


@pytest.mark.parametrize("name", FETCHED)
def test_an_address_is_left_out_where_nothing_may_fetch_it(name: str, ask: Ask) -> None:
    assert ask(name, LOOK, ContentPart.image_url(URL)) == (said_text(name, "Look:"), [(notices.UNSUPPORTED_URL, PATH)])


@pytest.mark.parametrize("name", FETCHED)
def test_with_the_prefetch_on_an_address_goes_out_inline(name: str, ask: Ask) -> None:
    with serve(reply(b64decode(PNG), headers={"content-type": "image/png"})) as pictures:
        policy = UrlPrefetch(allow_http=True, allow_cidrs=("127.0.0.0/8",))
        image = ContentPart.image_url(f"{pictures.url}/a.png")
        sent = ask(name, LOOK, image, ContentPart.text("?"), image, url_prefetch=policy)
    shape = inline(name, "image/png", PNG)
    assert sent == (user_message(name, text(name, "Look:"), shape, text(name, "?"), shape), [])
    assert [request.path for request in pictures.requests] == ["/a.png"], "one address is fetched once"


@pytest.mark.parametrize("name", FETCHED)
def test_an_allowed_host_is_fetched_from_by_name(name: str, ask: Ask) -> None:
    with serve(reply(b64decode(GIF), headers={"content-type": "image/gif"})) as pictures:
        url = pictures.url.replace("127.0.0.1", "localhost")
        policy = UrlPrefetch(allow_http=True, allow_hosts=("localhost",))
        assert ask(name, LOOK, ContentPart.image_url(f"{url}/a"), url_prefetch=policy) == (
            user_message(name, text(name, "Look:"), inline(name, "image/gif", GIF)),
            [],
        )


@pytest.mark.parametrize("name", WEB)
def test_text_inline_images_and_addresses_mix_in_any_order(name: str, ask: Ask) -> None:
    parts = [
        ContentPart.image_url(URL),
        ContentPart.text("and"),
        ContentPart.image("image/gif", GIF),
        ContentPart.text("?"),
    ]
    expected = user_message(name, remote(name, URL), text(name, "and"), inline(name, "image/gif", GIF), text(name, "?"))
    assert ask(name, *parts) == (expected, [])


def test_gemini_reads_from_cloud_storage_and_wants_a_type_with_every_address(ask: Ask) -> None:
    stored = ContentPart.image_url("gs://bucket/a.webp")
    assert ask("vertex", LOOK, stored) == (
        user_message("vertex", text("vertex", "Look:"), remote("vertex", "gs://bucket/a.webp", "image/webp")),
        [],
    )
    image = ContentPart.image_url("https://pictures.test/a", "image/png")
    assert ask("vertex", LOOK, image)[0]["parts"][1] == remote("vertex", "https://pictures.test/a", "image/png")
    untold = ContentPart.image_url("https://pictures.test/a")
    assert ask("vertex", LOOK, untold) == (said_text("vertex", "Look:"), [(notices.UNSUPPORTED_MEDIA_TYPE, PATH)])


def looked(*result: Part) -> ChatRequest:
    """A conversation whose tool answers with parts."""
    return ChatRequest(
        [
            Message.user("Look around."),
            Message.assistant([ContentPart.tool_call("call_0001", "camera", {})]),
            Message(Role.TOOL, [ToolResultPart("call_0001", list(result))]),
        ],
        tools=[Tool("camera")],
    )


@pytest.mark.parametrize("name", ALL)
def test_an_image_in_a_tool_result_goes_out_in_it_or_right_after_it(name: str, send_request: Ask) -> None:
    picture = ContentPart.image("image/png", PNG)
    body, response_notices = send_request(name, looked(ContentPart.text("A cat"), picture))
    shape = inline(name, "image/png", PNG)
    last = (body["contents"] if name == "vertex" else body["messages"])[-1]
    if name not in RESULT_IMAGES:
        assert last == {"role": "user", "content": [shape]}
        results = [message for message in body["messages"] if message["role"] == "tool"]
        assert [message["content"] for message in results] == ["A cat"]
        bridge = [(notices.ADDED_TURN, "messages")] if name == "mistral" else []
        assert response_notices == [(notices.CHANGED_PART, "messages[2].content[0].result[1]"), *bridge]
        return
    assert response_notices == []
    match name:
        case "anthropic":
            assert last["content"][0]["content"] == [text(name, "A cat"), shape]
        case "bedrock":
            assert last["content"][0]["toolResult"]["content"] == [text(name, "A cat"), shape]
        case "ollama":
            assert (last["content"], last["images"]) == ("A cat", [PNG])
        case _:  # before Gemini 3 the image stands beside the answer
            assert last["parts"][0]["functionResponse"]["response"] == {"result": "A cat"}
            assert last["parts"][1] == shape


def test_gemini_3_takes_images_within_the_answer(send_request: Ask) -> None:
    request = looked(ContentPart.text("A cat"), ContentPart.image("image/png", PNG))
    body, response_notices = send_request("vertex", request, model="gemini-3-pro-preview")
    assert body["contents"][-1]["parts"][0]["functionResponse"]["parts"] == [inline("vertex", "image/png", PNG)]
    assert response_notices == []


@pytest.mark.parametrize("name", ALL)
def test_a_refused_image_in_a_tool_result_is_noted_where_it_stands(name: str, send_request: Ask) -> None:
    _, response_notices = send_request(name, looked(ContentPart.text("A cat"), ContentPart.image("image/bmp", BITMAP)))
    assert response_notices == [(notices.UNSUPPORTED_MEDIA_TYPE, "messages[2].content[0].result[1]")]


@pytest.mark.parametrize("name", FETCHED)
def test_an_address_in_a_tool_result_is_fetched_too(name: str, send_request: Ask) -> None:
    with serve(reply(b64decode(PNG), headers={"content-type": "image/png"})) as pictures:
        policy = UrlPrefetch(allow_http=True, allow_cidrs=("127.0.0.0/8",))
        request = looked(ContentPart.image_url(f"{pictures.url}/a.png"))
        body, response_notices = send_request(name, request, url_prefetch=policy)
    assert PNG in str(body["messages"][-1])
    assert response_notices == []
