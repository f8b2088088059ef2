# %% 1
import os
from tako.testing.server import reply, serve

body = {"choices": [{"message": {"content": "Paris."}, "finish_reason": "stop"}]}
server = stack.enter_context(serve(reply(json=body)))
os.environ |= {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test"}
