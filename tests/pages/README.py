# %% 1
import os
from tako.testing.server import reply, serve, sse


def answer(request):
    said = request.json["messages"][-1]["content"]
    if request.json.get("stream"):
        events = [{"choices": [{"delta": {"content": piece}}]} for piece in ("Paris", ".")]
        return reply(sse(*events, {"choices": [{"delta": {}, "finish_reason": "stop"}]}))
    return reply(json={"choices": [{"message": {"content": f"You said: {said}"}, "finish_reason": "stop"}]})


server = stack.enter_context(serve(answer))
os.environ["OPENAI_API_KEY"] = "sk-test"
os.environ["OPENAI_BASE_URL"] = server.url
