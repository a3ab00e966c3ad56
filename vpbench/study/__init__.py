"""The ranking study with people: export, serve, import, analyse."""
