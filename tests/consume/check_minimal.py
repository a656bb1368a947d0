#!/usr/bin/env python3
"""An application of the minimal library says what one of the whole library says.

    check_minimal.py GOLDEN-FOLDER [EMULATOR-WORD...] PROGRAM    exit code 77: the emulator is not here"""

import pathlib
import subprocess
import sys

golden, command = pathlib.Path(sys.argv[1]), sys.argv[2:]
result = subprocess.run([*command, golden / "format1.llmir"], capture_output=True, text=True, check=False)
printed = result.stdout
if result.returncode != 0:
    print(printed, result.stderr)
    sys.exit(result.returncode)
expected = (golden / "format1.tokens").read_text()
if printed.split() != expected.split():
    sys.exit(f"printed {printed}expected {expected}")
