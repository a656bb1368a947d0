#!/usr/bin/env python3
"""The API reference is made from llmir.h without a warning, and has a text for each function; and the smallest example stays small.

    check_api_reference.py SOURCE [DOXYGEN]      without DOXYGEN: 77, which CTest shows as skipped"""

import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

MOST_LINES = 100  # of examples/minimal


def functions(header):
    code = re.sub(r"/\*.*?\*/", " ", header, flags=re.S)
    code = re.sub(r"^#[^\n]*(?:\\\n[^\n]*)*", "", code, flags=re.M)
    return set(re.findall(r"^LLMIR_API\b[^;()]*?\b(llmir_\w+)\(", code, re.M))


def make_reference(source, doxygen, out):
    """Runs Doxygen; returns what it complains about."""
    options = (source / "docs/Doxyfile").read_text(encoding="utf-8") + f"\nOUTPUT_DIRECTORY = {out}\n"
    result = subprocess.run([doxygen, "-"], input=options, cwd=source, capture_output=True, text=True, check=False)
    complaints = result.stdout + result.stderr
    return complaints or (f"Doxygen returned {result.returncode}" if result.returncode else "")


def texts(out):
    """What the reference says of each function."""
    root = xml.etree.ElementTree.parse(out / "xml/llmir_8h.xml").getroot()
    members = (member for member in root.iter("memberdef") if member.get("kind") == "function")
    return {member.findtext("name"): "".join("".join(member.find(part).itertext()) for part in ("briefdescription", "detaileddescription")).strip()
            for member in members}


def main():
    source = pathlib.Path(sys.argv[1]).resolve()
    lines = len((source / "examples/minimal/minimal_main.c").read_text(encoding="utf-8").splitlines())
    if lines >= MOST_LINES:
        sys.exit(f"examples/minimal/minimal_main.c: {lines} lines, expected fewer than {MOST_LINES}")
    if len(sys.argv) < 3:
        print("skipped: Doxygen is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder)
        complaints = make_reference(source, sys.argv[2], out)
        if complaints:
            sys.exit(complaints)
        documented = {name for name, text in texts(out).items() if text}
    missing = functions((source / "core/include/llmir.h").read_text(encoding="utf-8")) - documented
    if missing:
        sys.exit("functions without a text in the API reference: " + ", ".join(sorted(missing)))
    print(f"{len(documented)} functions")


if __name__ == "__main__":
    main()
