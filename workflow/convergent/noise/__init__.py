"""Alignment of networks whose training sets carry independent noise, against its strength and the number of samples.

Umar & Laio 2026: alignment grows with the signal-to-noise ratio, is lowest near the interpolation threshold, and does
not follow the generalisation error. Only the abstract's claims are known; the protocols here are a reconstruction.
"""
