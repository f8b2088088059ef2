# %% 1
import os

from tako.testing.dialects import DIALECTS
from tako.testing.script import Script

server = stack.enter_context(DIALECTS["completions"].serve(Script(text="Hello there.")))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}

# %% 2
from fastapi.testclient import TestClient

with TestClient(app) as client:
    assert client.post("/chat", json=[{"role": "user", "content": "Hi"}]).json()["content"][0]["text"] == "Hello there."
    events = client.get("/stream?question=Hi").text.split("\n\n")[:-1]
    assert "".join(json.loads(event.removeprefix("data: ")) for event in events) == "Hello there."

# %% 3
assert "Hello" in site.test_client().get("/stream?question=Hi").text

# %% end
import asyncio

import django
from django.conf import settings
from django.test import RequestFactory

settings.configure()
django.setup()
page = RequestFactory().get("/?question=Hi")
assert "Hello" in b"".join(stream_view(page).streaming_content).decode()
assert b"Hello there." in asyncio.run(chat_view(page)).content
