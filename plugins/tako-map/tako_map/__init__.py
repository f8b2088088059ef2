"""One prompt over many rows, on this machine or on a cluster, for tako.

::

    async for result in tako_map.run("in.jsonl", "openai:gpt-6-luna", prompt="Name the topic: {text}"):
        print(result.key, result.text or result.error)

The modules, as the data passes them:

- ``command``: the arguments of ``tako map``, a run from file to file, and its progress
- ``runs``: ``run`` and ``Run``, which join the others
- ``input``: rows of files and iterables, and their requests
- ``driver``: the loop that calls the provider for each row, and retries
- ``limits``: how many calls at once and per minute, and for how much money
- ``engines``: where calls are made: in this process, or in workers on Dask or Ray
- ``results``: a response or an error for each row, checked against a schema
- ``output``: results in files, and what an earlier run has written there
"""

from tako_map.input.rows import RowError
from tako_map.results import AnswerError, Result
from tako_map.runs import Run, run

__all__ = ["AnswerError", "Result", "RowError", "Run", "run"]
