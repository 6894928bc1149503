"""`python -m voxlogica` is `voxlogica`."""

import sys

from voxlogica.cli import main

if __name__ == "__main__":
    sys.exit(main())
