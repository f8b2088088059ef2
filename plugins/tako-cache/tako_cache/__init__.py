"""A response cache on disk for every tako provider."""
