"""A missing key: what the error says, and how it survives being stored."""

from __future__ import annotations

import pickle

import pytest

import tako


def test_the_error_says_which_variable_to_set_and_how_else_to_pass_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    with pytest.raises(tako.MissingKeyError) as caught:
        tako.get_provider("mistral:mistral-small-latest")
    assert "MISTRAL_API_KEY" in str(caught.value)
    assert str(caught.value).endswith(", or pass api_key=")
    assert isinstance(caught.value, tako.ConfigurationError)


def test_a_stored_error_keeps_its_text_and_its_advice() -> None:
    error = tako.MissingKeyError("x has no key: set X_API_KEY", "put it into x.toml")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.advice) == ("x has no key: set X_API_KEY, or put it into x.toml", "put it into x.toml")
