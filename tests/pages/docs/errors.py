# %% 1
import os
from tako.testing.server import reply, serve

server = stack.enter_context(
    serve(
        reply(
            json={"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
            status=429,
            headers={"retry-after": "90"},
        )
    )
)
os.environ["OPENAI_API_KEY"] = "sk-test"
os.environ["OPENAI_BASE_URL"] = server.url

# %% 2
tries = []


def failing(request):
    tries.append(request.json.get("stream", False))
    body = reply(json={"choices": [{"message": {"content": "at last"}, "finish_reason": "stop"}]})
    return body if len(tries) % 3 == 0 else reply(json={"error": {"message": "no"}}, status=503)


broken = stack.enter_context(serve(reply(json={"error": {"message": "no"}}, status=500)))
busy = stack.enter_context(serve(failing))

# %% 3
acme = tako.providers.OpenAI("m", api_key="k", base_url=broken.url)
for way in (acme.blocking.chat, lambda prompt: acme.blocking.stream(prompt).response()):
    try:
        way("Hi")
        raise AssertionError("a 500 isn't a reply")
    except ServerError:
        pass
assert len(broken.requests) == 2, len(broken.requests)
tako.unregister(policy)

# %% end
WAITS = (0.0, 0.0)
acme = tako.providers.OpenAI("m", api_key="k", base_url=busy.url, max_retries=0)
for way in (acme.blocking.chat, lambda prompt: acme.blocking.stream(prompt).response()):
    assert way("Hi").text == "at last"
assert len(tries) == 6
WAITS = (60.0,)
for way in (acme.blocking.chat, lambda prompt, **limits: acme.blocking.stream(prompt, **limits).response()):
    tries.clear()
    try:
        way("Hi", deadline=30)
        raise AssertionError("the wait is longer than the deadline")
    except ServerError:
        assert len(tries) == 1
WAITS = (0.0, 0.0)
for way in (provider.blocking.chat, lambda prompt, **limits: provider.blocking.stream(prompt, **limits).response()):
    sent_before = len(server.requests)
    try:
        way("Hello", deadline=30)
        raise AssertionError("the vendor wants 90 seconds")
    except tako.RateLimitError:
        assert len(server.requests) == sent_before + 1
tako.unregister(patient)
try:
    provider.blocking.chat("Hello")
except tako.RateLimitError as error:
    assert str(error) == "openai:gpt-6.2-sol: 429 rate_limit_exceeded: slow down; try again in 90 s"
    assert error.retry_after == 90
