# %% 1
import os
from pathlib import Path
from tako.testing.server import reply, serve

server = stack.enter_context(serve(reply(json={"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})))
os.environ["GROQ_API_KEY"] = "k-123456"
Path("tako.toml").write_text(f'''
[providers.groq]
use = "openai"
base_url = "{server.url}"
api_key = "$ENV:GROQ_API_KEY"
''')
