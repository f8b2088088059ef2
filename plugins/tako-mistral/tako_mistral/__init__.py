"""Mistral's chat API for tako."""
