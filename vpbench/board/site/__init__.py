"""The static site of the leaderboards: entries as pages that open from disk or any web space."""
