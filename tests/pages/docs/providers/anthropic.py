# %% 1
import os
from tako.testing.server import reply, serve, sse


def answer(request):
    body = request.json
    done = {
        "id": "msg_1",
        "model": body["model"],
        "usage": {"input_tokens": 9, "cache_read_input_tokens": 1000, "output_tokens": 3},
    }
    thought = {"type": "thinking", "thinking": "Rain is likely.", "signature": "EqQB"}
    if "hotels" in str(body["messages"][0]) and len(body["messages"]) == 1:
        searched = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "hotels"}}
        return reply(json={**done, "content": [searched], "stop_reason": "pause_turn"})
    if "hotels" in str(body["messages"][0]):
        assert body["messages"][1]["content"][0]["id"] == "srvtoolu_1"
        return reply(json={**done, "content": [{"type": "text", "text": "Number 7."}], "stop_reason": "end_turn"})
    if "tools" in body and len(body["messages"]) == 1:
        call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}
        return reply(json={**done, "content": [thought, call], "stop_reason": "tool_use"})
    if "tools" in body:
        assert body["messages"][1]["content"][0] == thought
    return reply(json={**done, "content": [{"type": "text", "text": '{"name": "Ada"}'}], "stop_reason": "end_turn"})


server = stack.enter_context(serve(answer))
os.environ["ANTHROPIC_API_KEY"] = "sk-ant-test"
os.environ["ANTHROPIC_BASE_URL"] = server.url
