"""The command line; all printing lives here."""
