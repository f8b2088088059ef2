# %% 1
import os
from tako.testing.server import reply, serve, sse


def answer(request):
    if request.json.get("stream"):
        return reply(sse({"choices": [{"delta": {"content": "Rome."}, "finish_reason": "stop"}]}))
    return reply(json={"choices": [{"message": {"content": "Paris."}, "finish_reason": "stop"}]})


server = stack.enter_context(serve(answer))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}
