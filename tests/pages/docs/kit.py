# %% 1
import os, sys, types
from tako.testing.server import reply, serve


def answer(request):
    assert "stream_options" not in request.json
    return reply(json={"choices": [{"message": {"content": "Hi"}, "finish_reason": "done"}]})


server = stack.enter_context(serve(answer))
os.environ["ACME_API_KEY"] = "k-123456"

# %% 2
sys.modules["tako_kit_page"] = types.ModuleType("tako_kit_page")
stack.callback(sys.modules.pop, "tako_kit_page")
Acme.__module__ = "tako_kit_page"
acme.base_url = server.url
assert (acme.blocking.chat("Hello").text, acme.blocking.chat("Hello").finish_reason) == ("Hi", "stop")
assert server.requests[0].headers["authorization"] == "Bearer k-123456"
# %% 3
sys.modules["tako_kit_beacon"] = types.ModuleType("tako_kit_beacon")
stack.callback(sys.modules.pop, "tako_kit_beacon")
hooks = {name: value for name, value in list(globals().items()) if name.startswith("tako_")}
vars(sys.modules["tako_kit_beacon"]).update(hooks)
Beacon.__module__ = "tako_kit_beacon"
beacon = Beacon("large")
assert beacon.blocking.chat("Hi").text == beacon.blocking.stream("Hi").response().text == "Hello there"
beacon.max_retries = 0
try:
    beacon.blocking.chat("again")
    raise AssertionError("the quota is used up")
except RateLimitError as error:
    assert (error.provider, error.code) == ("beacon", "quota")
