# %% 1
from tako.testing.server import reply, serve

URL = stack.enter_context(serve(reply(json={"answer": {"text": "Paris."}}))).url
