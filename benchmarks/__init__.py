"""Measurements beside the library's peers; none of them is a test."""
