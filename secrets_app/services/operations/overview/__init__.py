"""What operators look at: what is held, how old it is, and what is going on. Metadata and counts only.

Each query is one walk down an index that ends early, or is bounded by a window of time.
"""
