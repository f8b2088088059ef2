"""Prices and context windows from genai-prices for every tako provider."""
