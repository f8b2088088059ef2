# %% 1
import os
from tako.testing.server import reply, serve

said = {"choices": [{"message": {"content": "Hello!"}, "finish_reason": "stop"}]}
server = stack.enter_context(serve(reply(json=said)))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}
