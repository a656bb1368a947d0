#!/usr/bin/env python3
"""Prints tests/unit/abi_table.inc for llmir.h as it is: every struct, field, enumerator and function.

    print_abi.py LLMIR.H > abi_table.inc      needs clang-19

Run for a release, which makes what it prints a promise: lines are added, never changed (docs/COMPATIBILITY.md)."""

import pathlib
import re
import subprocess
import sys

TARGETS = ("x86_64-linux-gnu", "armv7-none-eabi")  # pointers of 64 and of 32 bits, both with 8-byte alignment of 64-bit fields


def parse(header):
    text = re.sub(r"/\*.*?\*/", " ", header, flags=re.S)
    structs = []
    for body, name in re.findall(r"typedef struct \w+ \{(.*?)\n\} (\w+);", text, re.S):
        fields = []
        for declaration in body.split(";"):
            pointer = re.search(r"\(\*(\w+)\)", declaration)
            plain = re.search(r"(\w+)\s*(?:\[[^\]]*\])?\s*$", declaration)
            if declaration.strip():
                fields.append((pointer or plain).group(1))
        structs.append((name, fields))
    enums = []
    for body in re.findall(r"typedef enum \w+ \{(.*?)\} \w+;", text, re.S):
        enums += re.findall(r"\b(LLMIR_\w+)\s*=\s*(?:\d|0x)", body)
    statuses = re.findall(r"^\s+X\((\w+), \d+,", text, re.M)
    functions = re.findall(r"^LLMIR_API\b[^;()]*?\b(llmir_\w+)\(", re.sub(r"^#[^\n]*(?:\\\n[^\n]*)*", "", text, flags=re.M), re.M)
    return structs, [f"LLMIR_STATUS_{name}" for name in statuses] + enums, functions


def evaluate(header_path, expressions, target):
    """Compiles the expressions into an array and reads it back from the assembly."""
    source = f'#include "{header_path}"\nconst long long table[] = {{{", ".join(expressions)}}};\n'
    command = ["clang-19", f"--target={target}", "-ffreestanding", "-std=c11", "-S", "-O0", "-x", "c", "-", "-o", "-"]
    assembly = subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout
    body = assembly.split("\ntable:")[1]
    if "eabi" not in target:
        return [int(value) for value in re.findall(r"\.quad\s+(-?\d+)", body)]
    words = [int(value) for value in re.findall(r"\.long\s+(-?\d+)", body)]
    return [low for low, _ in zip(words[::2], words[1::2])]


def main():
    path = pathlib.Path(sys.argv[1]).resolve()
    structs, values, functions = parse(path.read_text(encoding="utf-8"))
    expressions = []
    for name, fields in structs:
        expressions += [f"sizeof({name})"] + [f"offsetof({name}, {field})" for field in fields]
    expressions += values
    wide, narrow = (evaluate(path, expressions, target) for target in TARGETS)
    print("/* Sizes and offsets with pointers of 64 and of 32 bits; printed by print_abi.py. */")
    rows = iter(zip(wide, narrow))
    for name, fields in structs:
        kind = "GROWS" if fields[0] == "struct_size" else "FROZEN"  # without its size a struct can never grow
        print("ABI_{}({}, {}, {})".format(kind, name, *next(rows)))
        for field in fields:
            print("ABI_FIELD({}, {}, {}, {})".format(name, field, *next(rows)))
    for name in values:
        print(f"ABI_VALUE({name}, {next(rows)[0]})")
    for name in functions:
        print(f"ABI_FUNCTION({name})")


if __name__ == "__main__":
    main()
