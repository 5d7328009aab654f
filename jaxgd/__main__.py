"""`python -m jaxgd` is the command `jaxgd`."""

import sys

from jaxgd.cli import main

if __name__ == "__main__":
    sys.exit(main())
