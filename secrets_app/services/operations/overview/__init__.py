"""Answer what operators look at: what is stored, how old it is, what happens. Metadata and counts only.

Each query walks down an index and stops early, or is limited to a window of time.
"""
