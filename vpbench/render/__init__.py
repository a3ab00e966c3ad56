"""Pictures and tables as data for pages and terminals."""
