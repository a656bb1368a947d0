#!/usr/bin/env python3
"""An application of the minimal library says what one of the whole library says.

    check_minimal.py PROGRAM GOLDEN-FOLDER"""

import pathlib
import subprocess
import sys

program, golden = sys.argv[1], pathlib.Path(sys.argv[2])
printed = subprocess.run([program, golden / "format1.llmir"], capture_output=True, text=True, check=True).stdout
expected = (golden / "format1.tokens").read_text()
if printed.split() != expected.split():
    sys.exit(f"printed {printed}expected {expected}")
