# %% 1
import os

from tako.testing.server import reply, serve

answer = {
    "choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 2000, "completion_tokens": 500},
}
os.environ["OPENAI_BASE_URL"] = stack.enter_context(serve(*[reply(json=answer)] * 4)).url
os.environ["OPENAI_API_KEY"] = "sk-test"

# %% end
from decimal import Decimal

assert ledger.costs["openai:gpt-6.2-sol"].total == Decimal("0.0090")
assert ledger.costs["openai:gpt-5.4-nano"].total == Decimal("0.002050")
assert dict(ledger.unknown) == {"openai:a-model-without-a-price": 1}
tako.unregister(ledger)
