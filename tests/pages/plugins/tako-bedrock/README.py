# %% 1
import os
from tako.testing.server import reply, serve

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
answer = {"output": {"message": {"content": [{"text": "Paris."}]}}, "stopReason": "end_turn"}
os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] = stack.enter_context(serve(reply(json=answer))).url
os.environ |= {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-example"}
