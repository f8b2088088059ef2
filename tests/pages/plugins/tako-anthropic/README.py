# %% 1
import os
from tako.testing.server import reply, serve

body = {"content": [{"type": "text", "text": "Hello!"}], "stop_reason": "end_turn"}
server = stack.enter_context(serve(reply(json=body)))
os.environ["ANTHROPIC_API_KEY"] = "sk-ant-test"
os.environ["ANTHROPIC_BASE_URL"] = server.url
