"""Pages that show results: one comparison, one run."""
