"""Other programs, each called as its own users would at its best; nothing here is a dependency.

One file a peer, which is imported inside of functions: what is not installed is named as absent.
Every function prepares (imports, plans, compiles) and returns the call that is timed.
"""
