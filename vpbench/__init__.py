"""vpbench: a benchmark for class-conditional video prediction.

Plugin authors import `vpbench.api` and `vpbench.kit`; everything else is internal.
"""

__version__ = "0.1.0"
