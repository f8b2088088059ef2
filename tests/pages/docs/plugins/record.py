# %% 1
import os
from tako.testing.server import reply, serve, sse

body = {"choices": [{"message": {"content": "Paris."}, "finish_reason": "stop"}]}
server = stack.enter_context(serve(reply(json=body)))
os.environ["OPENAI_BASE_URL"] = server.url
os.environ["OPENAI_API_KEY"] = "sk-not-for-the-tape"
