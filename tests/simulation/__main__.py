"""`python -m tests.simulation`: see `cli`."""

import sys

from tests.simulation.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
