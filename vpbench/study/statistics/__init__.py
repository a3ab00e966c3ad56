"""Statistics of rankings: means and intervals, tests, worths, agreement."""
