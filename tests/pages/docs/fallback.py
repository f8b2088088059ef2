# %% 1
import os
from pathlib import Path
from tako.testing.server import reply, serve

down = stack.enter_context(serve(reply(json={"error": {"message": "busy"}}, status=503)))
up = stack.enter_context(
    serve(
        reply(
            json={
                "model": "claude",
                "role": "assistant",
                "type": "message",
                "id": "m",
                "content": [{"type": "text", "text": "Hello!"}],
                "stop_reason": "end_turn",
                "usage": {},
            }
        )
    )
)
os.environ |= {
    "OPENAI_API_KEY": "k",
    "ANTHROPIC_API_KEY": "k",
    "OPENAI_BASE_URL": down.url,
    "ANTHROPIC_BASE_URL": up.url,
}
Path("tako.toml").write_text("""
[providers.main]
use = "openai:gpt-6.2-sol"
max_retries = 0
[providers.spare]
use = "anthropic:claude-sonnet-5-5"
[providers.safe]
use = "fallback"
providers = ["main", "spare"]
""")

# %% 2
assert response.provider == "anthropic:claude-sonnet-5-5"
assert response.notices[0].code == "fell_back"

# %% end
assert safe.blocking.chat("Hi").text == "Hello!"
assert short.id == "fallback:openai:gpt-6.2-sol,anthropic:claude-sonnet-5-5"
