# %% 1
import os
from tako.testing.server import reply, serve

completion = {
    "choices": [{"message": {"role": "assistant", "content": '{"label": "bug"}'}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 5},
}
server = stack.enter_context(serve(reply(json=completion)))
os.environ["OPENAI_API_KEY"] = "sk-test"
base_url = server.url

# %% 2
from tako.cli import main

assert (
    main(
        [
            "map",
            "-m",
            "openai:gpt-6-luna",
            "--option",
            f"base_url={base_url}",
            "tickets.csv",
            "-o",
            "labels.jsonl",
            "--prompt",
            "Is this ticket a bug, a wish or a question? {text}",
            "--schema",
            "label.json",
            "--max-cost",
            "5",
        ]
    )
    == 0
)

# %% end
assert labels == {"17": "bug", "18": "bug"}
