# %% 1
import os
from tako.testing.server import reply, serve

body = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Paris."}]}, "finishReason": "STOP"}]}
server = stack.enter_context(serve(reply(json=body)))
os.environ["GEMINI_API_KEY"] = "AIza-test"
os.environ["GOOGLE_GEMINI_BASE_URL"] = server.url

# %% 3
vertex.endpoint_url = server.url
