"""Alignment of units between neural networks: the library behind the convergent-learning study.

Import the module that owns the concept: `from convergent.matching import bipartite_match`.
Nothing here reads the workflow's configuration, and nothing is imported before it is asked for.
"""
