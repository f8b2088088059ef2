"""Plain Python callables as tako providers."""
