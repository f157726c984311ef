"""`python -m shopmon` is `shopmon`."""

import sys

from shopmon.cli import main

if __name__ == "__main__":
    sys.exit(main())
