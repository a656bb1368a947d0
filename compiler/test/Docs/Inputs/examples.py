#!/usr/bin/env python3
"""Prints the examples of all operations, types and attributes in the dialects' TableGen files, separated for
--split-input-file. Fails if a definition has a description without an example (or a pointer to one)."""

import pathlib
import re
import sys

DEFINITION = re.compile(r"^def (\w+) : (?:LLMIR_Op|LLMIR_Type|Exec_Op|Exec_Type|AttrDef)<(.*?)^}", re.S | re.M)
EXAMPLE = re.compile(r"Example:\n\n( *)```mlir\n(.*?)```", re.S)
POINTER = re.compile(r"Example: see `([\w.]+)`")


def main():
    examples, missing = [], []
    for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.td")):
        for name, body in DEFINITION.findall(path.read_text()):
            found = EXAMPLE.findall(body)
            if "let description" in body and not found and not POINTER.search(body):
                missing.append(f"{path.name}: {name} has no example")
            for _, text in found:
                examples.append(f"// {path.name}: {name}\n{text.rstrip()}\n")
    if missing or len(examples) < 30:
        sys.exit("\n".join(missing) or f"only {len(examples)} examples found")
    print("\n// -----\n\n".join(examples))


if __name__ == "__main__":
    main()
