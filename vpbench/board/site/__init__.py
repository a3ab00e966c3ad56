"""The static site of the leaderboards: entries become pages that open from disk or any web space."""
