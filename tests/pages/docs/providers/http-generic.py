# %% 1
import os
from tako.testing.server import reply, serve


def answer(request):
    if request.headers.get("authorization") != "Bearer gw-12345":
        return reply(json={"error": {"message": "no key", "code": "E401"}}, status=401)
    body = request.json
    if body.get("options", {}).get("temperature", 0) > 1:
        return reply(json={"error": {"message": "budget is spent", "code": "BUDGET"}}, status=400)
    if body["stream"]:
        return reply(b'{"piece": "Bonjour"}\n{"piece": ", toi."}\n{"end": "done"}\n{"meter": {"in": 9, "out": 4}}\n')
    if "tools" in body:
        return reply(json={"calls": [{"call": "w1", "tool": "weather", "with": {"city": "Paris"}}], "end": "tool"})
    return reply(json={"answer": {"text": "Bonjour."}, "end": "done", "meter": {"in": 9, "out": 3}})


server = stack.enter_context(serve(answer))
os.environ["GATEWAY_KEY"] = "gw-12345"
URL = server.url

# %% 3
provider.max_retries = 0

from pathlib import Path

page = {
    "gateway.toml": """
id = "gateway"
url = "https://gateway.example/v1/complete"
messages_format = "openai"
response_text_pointer = "/answer/text"
[headers]
authorization = "Bearer $GATEWAY_KEY"
[body_template]
model = "{{ model }}"
conversation = "{{ messages }}"
stream = "{{ stream }}"
"""
}
for name, text in page.items():
    Path(name).write_text(text)

# %% 5
import sys

Path("acme_gateway").mkdir()
Path("acme_gateway/Gateway.toml").write_text(page["gateway.toml"])
sys.path.insert(0, os.getcwd())
stack.callback(sys.path.remove, os.getcwd())
import importlib

importlib.invalidate_caches()
from tako_http_generic import data

Gateway = data.acme_gateway.Gateway
