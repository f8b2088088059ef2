# %% 1
import os
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

# %% end
assert response.provider == "anthropic:claude-sonnet-5-5"
assert [notice.code for notice in response.notices] == ["fell_back"]
