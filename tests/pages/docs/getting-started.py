# %% 1
import base64
import os
from pathlib import Path

from tako.testing.dialects import DIALECTS
from tako.testing.script import Script


def answer(request):
    text = str(request.json["messages"][-1]["content"])
    return Script(text='{"name": "Ada", "age": 36}' if "person" in text else "Paris.")


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
server = stack.enter_context(DIALECTS["completions"].serve(answer))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}
Path("photo.png").write_bytes(base64.b64decode(PNG))
