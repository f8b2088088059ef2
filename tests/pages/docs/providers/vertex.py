# %% 1
import os
from tako.testing.server import reply, serve


def answer(request):
    body = request.json
    state = {"thoughtSignature": "EqQB"}
    if "tools" in body and len(body["contents"]) == 1:
        parts = [{"functionCall": {"name": "weather", "args": {"city": "Paris"}}, **state}]
    else:
        if "tools" in body:
            assert body["contents"][1]["parts"][0]["thoughtSignature"] == "EqQB"
        parts = [{"text": '{"name": "Ada"}'}]
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 3}
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
    return reply(json={"candidates": [candidate], "usageMetadata": usage})


server = stack.enter_context(serve(answer))
os.environ["VERTEX_TOKEN"] = "ya29.test"
os.environ["GOOGLE_CLOUD_PROJECT"] = "my-project"
endpoint = {"access_token": "$ENV:VERTEX_TOKEN", "endpoint_url": server.url}
import tako

Real = tako.providers.Vertex
stack.callback(setattr, tako.providers, "Vertex", Real)
tako.providers.Vertex = lambda model, **options: Real(model, **{**options, **endpoint})
