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

# %% end
try:
    provider.blocking.chat("Hello")
except tako.RateLimitError as error:
    assert str(error) == "openai:gpt-6.2-sol: 429 rate_limit_exceeded: slow down; try again in 90 s"
    assert error.retry_after == 90
