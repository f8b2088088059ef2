"""Values in other people's hands: sums, dicts, pydantic models, FastAPI routes."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal

import fastapi
import msgspec
import pydantic
import pytest
from fastapi.testclient import TestClient

from tako import ChatRequest, ChatResponse, Message, Notice, Tool, Usage
from tako.parts import TextPart
from tako.runs import RunResult
from tako.types import Cost

RESPONSE = ChatResponse(
    Message.assistant([TextPart("ok")]), usage=Usage(1, 2), cost=Cost(output=Decimal("0.1")), notices=[Notice("c", "m")]
)
REQUEST = ChatRequest([Message.user("Hi")], tools=[Tool("look")], headers={"x-key": "secret"}, context={"a": object()})
VALUES = [RESPONSE, REQUEST, Message.user("Hi"), Usage(1), Cost(), Notice("c", "m"), RunResult(RESPONSE, [])]


class Everything(pydantic.BaseModel):
    response: ChatResponse
    messages: list[Message]
    usage: Usage | None = None


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_a_dict_that_json_has(value: msgspec.Struct) -> None:
    plain = value.to_dict()  # type: ignore[attr-defined]
    assert json.loads(json.dumps(plain)) == json.loads(msgspec.json.encode(value))
    assert "secret" not in str(plain)
    assert msgspec.convert(json.loads(json.dumps(plain)), type(value)) == value


def test_usages_and_costs_add_up() -> None:
    assert sum([Usage(1, 2), Usage(3, 4)]) == Usage(4, 6)
    assert sum([RESPONSE.cost, RESPONSE.cost]).total == Decimal("0.2")  # type: ignore[list-item, union-attr]


def test_pydantic_models_hold_values_and_read_them_again() -> None:
    held = Everything(response=RESPONSE, messages=[Message.user("Hi")])
    assert held.response is RESPONSE
    assert Everything.model_validate_json(held.model_dump_json()) == held
    assert Everything.model_validate(held.model_dump()) == held
    assert Everything.model_json_schema()["properties"]["response"] == {"title": "ChatResponse", "type": "object"}
    with pytest.raises(pydantic.ValidationError, match="role"):
        Everything.model_validate({"response": RESPONSE, "messages": [{"role": "boss", "content": ""}]})


def test_routes_take_and_return_values() -> None:
    app = fastapi.FastAPI()

    def echo(messages: list[Message]) -> ChatResponse:
        return ChatResponse(messages[-1])

    echo.__annotations__ = {"messages": list[Message], "return": ChatResponse}
    app.post("/")(echo)
    with TestClient(app) as client:
        assert (
            client.post("/", json=[{"role": "user", "content": "Hi"}]).json()
            == ChatResponse(Message.user("Hi")).to_dict()
        )
        assert client.post("/", json=[{"role": "boss", "content": "Hi"}]).status_code == 422
        assert '"title":"Message"' in client.get("/openapi.json").text


def test_none_of_it_imports_pydantic() -> None:
    code = "import sys, tako; tako.ChatResponse(tako.Message.user('x')).to_dict(); assert 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
