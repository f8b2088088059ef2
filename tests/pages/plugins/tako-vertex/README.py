# %% 1
import os
from tako.testing.server import reply, serve
import tako

body = {"candidates": [{"content": {"parts": [{"text": "Hello!"}]}, "finishReason": "STOP"}]}
server = stack.enter_context(serve(reply(json=body)))
get_provider = tako.get_provider
stack.callback(setattr, tako, "get_provider", get_provider)
tako.get_provider = lambda id, **options: get_provider(id, access_token="t", endpoint_url=server.url, **options)
