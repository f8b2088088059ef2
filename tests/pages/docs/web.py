# %% 1
import os

from tako.testing.dialects import DIALECTS
from tako.testing.script import Script

COMPLETIONS = DIALECTS["completions"]


def reply(request):
    if "refused" in str(request.json):
        return COMPLETIONS.refuse(401)
    if "busy" in str(request.json):
        return COMPLETIONS.refuse(429, headers={"retry-after": "90"})
    return Script(text="Hello there.")


server = stack.enter_context(COMPLETIONS.serve(reply))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.url}

# %% 2
from fastapi.testclient import TestClient


def check(read):
    """Check what a browser reads: the text and its end, or what failed. `read` takes a question."""
    *pieces, done = read("Hi").split("\n\n")[:-1]
    assert "".join(json.loads(piece.removeprefix("data: ")) for piece in pieces) == "Hello there."
    assert done == "event: done\ndata: {}"
    assert read("busy").startswith('event: failed\ndata: "Too many requests')
    assert read("busy").count("\n\n") == 1


with TestClient(app) as client:
    assert client.post("/chat", json=[{"role": "user", "content": "Hi"}]).json()["content"][0]["text"] == "Hello there."
    busy = client.post("/chat", json=[{"role": "user", "content": "busy"}])
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "90")
    refused = client.post("/chat", json=[{"role": "user", "content": "refused"}])
    assert refused.status_code == 502 and "key" not in refused.text.lower()
    assert client.post("/chat", json=[]).status_code == 400
    check(lambda question: client.get(f"/stream?question={question}").text)

# %% 3
check(lambda question: site.test_client().get(f"/stream?question={question}").text)

# %% end
import asyncio

import django
from django.conf import settings
from django.test import RequestFactory

settings.configure()
django.setup()
page = RequestFactory().get("/?question=Hi")
check(lambda text: b"".join(stream_view(RequestFactory().get(f"/?question={text}")).streaming_content).decode())
assert b"Hello there." in asyncio.run(chat_view(page)).content
provider.blocking.close()
