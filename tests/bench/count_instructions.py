#!/usr/bin/env python3
"""Counts the instructions of the integer products in a bundle's code, for processors that are not here to be timed.

    count_instructions.py BUNDLE LEVEL [--inspect llmir-inspect] [--objdump llvm-objdump-19]

Disassembles the CODE section of LEVEL (a name as llmir-inspect prints it) and lists its innermost loops that multiply bytes:
how many instructions they have, how many more the loop around them has, and how many they have for 1024 products, beside the
multiplications alone, which is the least that the level can do with. Code that is not a loop any more, because all its counts were constant, is not seen."""

import argparse
import collections
import json
import pathlib
import re
import struct
import subprocess
import tempfile

# Products of bytes per instruction.
PRODUCTS = {"sdot": 16, "smmla": 32, "smlal": 8, "smlal2": 8, "smull": 8, "smull2": 8, "vmlal.s8": 8, "vmull.s8": 8,
            "vwmacc.vx": 16, "vwmul.vx": 16, "vpdpbusd": 64, "vpmaddubsw": 32}
FEATURES = {"rv64gcv": ["--mattr=+v,+m,+a,+f,+d,+c"], "armv7-neon": ["--triple=armv7-linux-gnueabihf", "--mattr=+neon,+vfp4"]}
BRANCH = re.compile(r"(b(\.\w+)?|b[a-z]{2}u?|cbn?z|tbn?z|bn?ez|j[a-z]{0,3}|c\.bn?ez)$")


def code_image(bundle, level, inspect):
    listing = subprocess.run([inspect, "--json", bundle], capture_output=True, text=True, check=True).stdout
    section = next((s for s in json.loads(listing)["sections"] if s["kind"] == "code" and s["level"] == level), None)
    if section is None:
        raise SystemExit(f"{bundle} has no code for {level}")
    data = bundle.read_bytes()[section["offset"]:][:section["bytes"]]
    offset, size = struct.unpack_from("<QQ", data, 16)  # llmir_code_record_t
    return data[offset:offset + size]


def disassemble(image, level, objdump):
    with tempfile.NamedTemporaryFile(suffix=".elf") as file:
        file.write(image)
        file.flush()
        text = subprocess.run([objdump, "-d", "--no-show-raw-insn", *FEATURES.get(level, []), file.name], capture_output=True,
                              text=True, check=True).stdout
    found = re.findall(r"^\s*([0-9a-f]+):\s+(\S+)[ \t]*(.*)$", text, re.M)
    return [(int(address, 16), name, operands) for address, name, operands in found]


def innermost_loops(instructions):
    index = {address: i for i, (address, _, _) in enumerate(instructions)}
    loops = []
    for end, (_, name, operands) in enumerate(instructions):
        target = re.search(r"0x([0-9a-f]+)", operands)
        if BRANCH.match(name) and target:
            begin = index.get(int(target.group(1), 16), end)
            if begin < end:
                loops.append((begin, end))
    inner = [a for a in loops if not any(b != a and b[0] >= a[0] and b[1] <= a[1] for b in loops)]
    result = []
    for begin, end in inner:
        outer = min(((b, e) for b, e in loops if b <= begin and e >= end and (b, e) != (begin, end)),
                    key=lambda loop: loop[1] - loop[0], default=None)
        around = 0
        if outer is not None:
            inside = sum(e - b + 1 for b, e in inner if outer[0] <= b and e <= outer[1])
            around = outer[1] - outer[0] + 1 - inside
        result.append(([name for _, name, _ in instructions[begin:end + 1]], around))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=pathlib.Path)
    parser.add_argument("level")
    parser.add_argument("--inspect", default="llmir-inspect")
    parser.add_argument("--objdump", default="llvm-objdump-19")
    options = parser.parse_args()
    image = code_image(options.bundle, options.level, options.inspect)
    rows = collections.Counter()
    for names, around in innermost_loops(disassemble(image, options.level, options.objdump)):
        multiplications = [name for name in names if name in PRODUCTS]
        products = sum(PRODUCTS[name] for name in multiplications)
        if len(multiplications) >= 8:
            kinds = "+".join(sorted(set(multiplications)))
            rows[(len(names), around, len(multiplications), products, kinds)] += 1
    print(f"{'loops':>5} {'instructions':>12} {'around':>6} {'multiply':>8} {'products':>8} {'per 1024':>8} {'least':>6}  with")
    for (count, around, multiplications, products, kinds), loops in sorted(rows.items(), key=lambda row: -row[0][3]):
        print(f"{loops:5} {count:12} {around:6} {multiplications:8} {products:8} {count * 1024 / products:8.1f} "
              f"{multiplications * 1024 / products:6.1f}  {kinds}")


if __name__ == "__main__":
    main()
