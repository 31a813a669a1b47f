"""Runs each statement that the documentation makes about other libraries, with real processes, on this machine.

    python -m benchmarks.statements

It prints each statement, what was seen, and whether it holds. A statement stands in a module of its library below this one, as a
function that is given a directory and returns what it saw. It runs in a process of its own, and starts others as `Other`.
Libraries change: run it when one has a new version, before a page says something about it, and after. It is no test.
"""
