# %% 1
import os

from tako.testing.server import reply, serve, sse

choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Lisbon."}}
answer = {
    "id": "c-1",
    "model": "gpt-5.4-2026-03-05",
    "choices": [choice],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3},
}
answer["prompt_filter_results"] = [
    {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
]
refused = {
    "error": {
        "code": "content_filter",
        "message": "The response was filtered",
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
}
events = sse(
    {"choices": [], "prompt_filter_results": answer["prompt_filter_results"]},
    {"choices": [{"delta": {"content": "Lisbon."}, "finish_reason": "stop"}]},
)


def script(request):
    if b"forbidden" in request.body:
        return reply(json=refused, status=400)
    return reply(events) if request.json.get("stream") else reply(json=answer)


server = stack.enter_context(serve(script))
os.environ.pop("AZURE_OPENAI_AD_TOKEN", None)
os.environ.pop("OPENAI_API_VERSION", None)
os.environ["AZURE_OPENAI_ENDPOINT"] = server.url
os.environ["AZURE_OPENAI_API_KEY"] = "key-of-the-test"

# %% 2
assert response.text == "Lisbon."
assert server.requests[0].path == "/openai/v1/chat/completions"

# %% 4
assert server.requests[-1].headers["authorization"] == "Bearer eyJ0eXAi"

# %% 5
assert stream.response().raw["prompt_filter_results"] == answer["prompt_filter_results"]

# %% end
assert "forbidden" in server.requests[-1].json["messages"][0]["content"]
