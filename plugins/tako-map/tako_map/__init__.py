"""One prompt over many rows, on this machine or on a cluster, for tako.

::

    async for result in tako_map.run("in.jsonl", "openai:gpt-5-mini", prompt="Name the topic: {text}"):
        print(result.key, result.text or result.error)
"""

from tako_map.running import Run, run
from tako_map.values import AnswerError, Result, RowError

__all__ = ["AnswerError", "Result", "RowError", "Run", "run"]
