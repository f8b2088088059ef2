# %% 1
import json, os
from pathlib import Path
from tako.testing.server import reply, serve

server = stack.enter_context(
    serve(reply(json={"choices": [{"message": {"content": "Bonjour"}, "finish_reason": "stop"}]}))
)
os.environ["OPENAI_API_KEY"] = os.environ["ANTHROPIC_API_KEY"] = "sk-test"
os.environ["OPENAI_BASE_URL"] = server.url
Path("tako.toml").write_text("""
default = "code"
[providers.code]
use = "openai"
model = "gpt-6.2-sol"
api_key = "$ENV:OPENAI_API_KEY"
timeout = 30
capabilities = { supports_streaming = false }
[providers.math]
use = "anthropic:claude-sonnet-5-5"
[aliases]
fast = "openai:gpt-6-luna"
[conductor]
coordinator = "code"
max_fanout = 8
[conductor.workers]
code = "code"
math = "math"
""")

# %% 2
assert config.provider("fast").id == "openai:gpt-6-luna"
assert small.model == "gpt-6-luna" and small.timeout == 30
assert provider.id == "openai:gpt-6.2-sol" and provider.timeout == 30 and claude.timeout == 5
assert list(conductor.workers) == ["code", "math"] and conductor.max_fanout == 8

from msgspec.structs import replace


@tako.around
async def redact(request, inner, *, names: tuple[str, ...] = (), token: str = ""):
    assert token == "secret"
    async for chunk in inner(request):
        if chunk.kind == "delta" and chunk.text:
            for name in names:
                chunk = replace(chunk, text=chunk.text.replace(name, "[name]"))
        yield chunk


from tako.testing import isolated

os.environ["RULES_TOKEN"] = "secret"
Path("plugins.toml").write_text("""
[plugins]
order = ["audit", "redact"]
required = ["redact"]
[plugins.redact]
names = ["Bonjour"]
token = "$ENV:RULES_TOKEN"
""")


@tako.around
async def audit(request, inner):
    async for chunk in inner(request):
        yield chunk


with isolated(redact, audit):
    tako.load_config("plugins.toml")
    assert provider.blocking.chat("Say hello in French").text == "[name]"
