#!/usr/bin/env python3
"""Runs a check on a real model, or is skipped (exit code 77) where its file is not there.

    check_real_model.py smollm2|gemma3 SCRIPT [argument...]     LLMIR_SMOLLM2_GGUF or LLMIR_GEMMA3_GGUF names the file"""

import os
import pathlib
import subprocess
import sys

name, script, *arguments = sys.argv[1:]
path = os.environ.get(f"LLMIR_{name.upper()}_GGUF", "")
if not os.path.isfile(path):
    print(f"LLMIR_{name.upper()}_GGUF names no file: skipped")
    sys.exit(77)
script = pathlib.Path(__file__).parent / script
sys.exit(subprocess.run([sys.executable, "-B", script, *arguments, f"{name}={path}"], check=False).returncode)
