"""Limits of a run: calls at once (``pace``), requests and tokens per minute (``quota``), and money (``budget``)."""
