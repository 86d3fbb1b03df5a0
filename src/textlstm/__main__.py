"""`python -m textlstm STAGE [settings]`."""

import sys

from textlstm.cli import main

if __name__ == "__main__":
    sys.exit(main())
