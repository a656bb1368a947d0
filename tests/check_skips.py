#!/usr/bin/env python3
"""Fails where a run skipped more than tests/skips.txt says.

    check_skips.py JUNIT-FILE PRESET        JUNIT-FILE: of ctest --output-junit

A skip is a CTest that was skipped or is disabled, a CMocka case ("[  SKIPPED ] name") or a Python one ("skipped 'reason'"), told as TEST or
TEST/CASE. Lines of skips.txt: PRESET TEST reason, with * and ? as in a shell."""

import fnmatch
import pathlib
import re
import sys
import xml.etree.ElementTree

DOCUMENTED = pathlib.Path(__file__).parent / "skips.txt"


def documented():
    for line in DOCUMENTED.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            preset, test, reason = line.split(maxsplit=2)
            yield preset, test, reason


def skips_of(case):
    """(name, what was said) of each skip in a <testcase>."""
    name = case.get("name")
    output = case.findtext("system-out") or ""
    if case.find("skipped") is not None or case.get("status") in ("disabled", "notrun"):
        said = next((line for line in output.splitlines() if "skipped" in line), "")
        yield name, said.strip()
    for found in sorted(set(re.findall(r"^\[  SKIPPED \] (\w+)\s*$", output, re.M))):
        yield f"{name}/{found}", ""
    for count in re.findall(r"^OK \(.*skipped=(\d+)", output, re.M):
        yield f"{name}/python", f"{count} cases"


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: check_skips.py JUNIT-FILE PRESET")
    path, preset = sys.argv[1:]
    rules = list(documented())
    surprising = 0
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        for name, said in skips_of(case):
            reason = next((reason for rule, test, reason in rules if fnmatch.fnmatch(preset, rule) and fnmatch.fnmatch(name, test)), None)
            surprising += reason is None
            print(f"{'skipped' if reason else 'NOT DOCUMENTED: skipped'} {name}: {reason or said or 'no reason given'}")
    if surprising:
        sys.exit(f"{surprising} skips are not in {DOCUMENTED}")


if __name__ == "__main__":
    main()
