#!/usr/bin/env python3
"""Prints what libraries and programs load into memory, and fails where one is above its bound.

    check_sizes.py SIZE NAME=FILE=KIB...     SIZE: the `size` of this toolchain; of an archive all members count"""

import re
import subprocess
import sys

# Sections that are loaded, in ELF, PE and WebAssembly; tables for unwinding the stack are read-only data.
GROUPS = (
    ("text", r"\.(text|init|fini|plt)\b|CODE$"),
    ("rodata", r"\.(rodata|rdata|data\.rel\.ro|eh_frame|eh_frame_hdr|gcc_except_table|xdata|pdata|ARM\.exidx|ARM\.extab)\b"),
    ("data", r"\.(data|got|tdata|idata|tls|CRT)\b|DATA$"),
    ("bss", r"\.(bss|tbss)\b"),
)


def measure(size_program, path):
    listing = subprocess.run([size_program, "-A", path], capture_output=True, text=True, check=True).stdout
    sizes = dict.fromkeys((name for name, _ in GROUPS), 0)
    for section, size in re.findall(r"^(\S+)\s+(\d+)", listing, re.M):
        group = next((name for name, pattern in reversed(GROUPS) if re.match(pattern, section)), None)
        if section.startswith(".data.rel.ro"):
            group = "rodata"
        if group:
            sizes[group] += int(size)
    return sizes


def main():
    failed = False
    print(f"{'':12} {'text':>8} {'rodata':>8} {'data':>8} {'bss':>8} {'all':>8} {'bound':>8}")
    for item in sys.argv[2:]:
        name, path, bound = item.rsplit("=", 2)
        sizes = measure(sys.argv[1], path)
        total = sum(sizes.values())
        too_large = total > int(bound) * 1024 or total == 0
        failed |= too_large
        columns = " ".join(f"{size:8}" for size in sizes.values())
        print(f"{name:12} {columns} {total:8} {int(bound) * 1024:8}{'  TOO LARGE' if too_large else ''}")
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: check_sizes.py SIZE NAME=FILE=KIB...")
    sys.exit(main())
