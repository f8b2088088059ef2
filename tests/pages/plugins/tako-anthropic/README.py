# %% 1
import os
from tako.testing.server import reply, serve

said = {"content": [{"type": "text", "text": "Hello!"}], "stop_reason": "end_turn"}
server = stack.enter_context(serve(reply(json=said)))
os.environ["ANTHROPIC_API_KEY"] = "sk-ant-test"
os.environ["ANTHROPIC_BASE_URL"] = server.url
