"""Mutation testing: change one thing at a time, and see whether a test notices (docs/mutation.md)."""
