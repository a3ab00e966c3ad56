"""Simulations that hold the statistics of a table to their promises.

Each draws data whose truth is known, gives them to the functions behind the tables, and counts how
often these are wrong; beside it stands the same count for the uncorrected procedure.

    python -m tests.simulations            all of them, as a table
    python -m tests.simulations fits       one of them

`pytest -m slow tests/simulations` holds them to their bands; reduced ones run with the unit tests.
"""
