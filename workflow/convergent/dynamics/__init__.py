"""Whether very different architectures learn by the same dynamics: an effective theory of two points drawing apart.

van Rossem & Saxe 2024 (arXiv 2402.09142): a network that is split at a hidden layer into two freely optimisable maps
obeys three equations for two nearby points, in which its architecture is no more than two rates.
"""
