"""`python -m vpbench`: the command line."""

from vpbench.cli.main import main

if __name__ == "__main__":
    main()
