"""Media files of every kind, made here, with the pixels that a reader must find in them."""
