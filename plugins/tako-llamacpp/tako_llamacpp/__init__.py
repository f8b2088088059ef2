"""GGUF models in process, by llama.cpp, for tako."""
