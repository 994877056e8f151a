"""`python -m tidings` is the command `tidings`."""

import sys

from tidings.commands.main import main

sys.exit(main())
