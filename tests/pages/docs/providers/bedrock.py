# %% 1
import os
from tako.testing.eventstream import CONTENT_TYPE, event
from tako.testing.server import reply, serve

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
answer = {
    "output": {"message": {"content": [{"text": "Paris."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 5},
}
streamed = [
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Par"}}),
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "is."}}),
    event("messageStop", {"stopReason": "end_turn"}),
    event("metadata", {"usage": {"inputTokens": 5, "outputTokens": 2}}),
]
throttled = reply(
    json={"message": "Slow down"}, status=429, headers={"x-amzn-errortype": "ThrottlingException:http://"}
)
server = stack.enter_context(
    serve(reply(json=answer), reply(streamed, headers=CONTENT_TYPE), reply(json=answer), reply(json=answer), throttled)
)
os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] = server.url
os.environ["AWS_ACCESS_KEY_ID"] = "AKIDEXAMPLE"
os.environ["AWS_SECRET_ACCESS_KEY"] = "secret-example"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
