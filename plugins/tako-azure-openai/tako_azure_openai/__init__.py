"""OpenAI's models on Azure for tako."""
