"""Anthropic's Messages API for tako."""
