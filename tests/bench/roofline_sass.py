#!/usr/bin/env python3
"""A roofline on paper: what the machine code of a bundle's CUDA kernels allows on GPUs that are not here to be timed.

    roofline_sass.py BUNDLE [--depth 4096] [--ptxas ptxas] [--nvdisasm nvdisasm]

Assembles the bundle's PTX (`ptxas -v`: registers, shared memory, spills), disassembles it (`nvdisasm`, PyPI: nvidia-cuda-nvdisasm), takes
of each matrix product and attention the innermost loop that reads most, and counts for one pass of a warp through it: bytes read
from global memory, instructions by the pipe that executes them, and how many bytes are on their way at once before the first is needed.
From that follow, for a data sheet below, the share of the memory's bandwidth that a decode kernel can ask for,

    min(1, bytes in flight / bytes that the latency needs, time of memory / time of the busiest pipe)

and the share of the peak of integer products for kernels of many tokens. Nothing here was measured."""

import argparse
import collections
import dataclasses
import lzma
import pathlib
import re
import struct
import subprocess
import tempfile

CODE, PLAN, CUDA = 6, 5, 3
LINEAR, ATTENTION = 5, 7
NAMES = {3: "f32", 4: "f16", 5: "bf16", 6: "s4", 7: "u4", 8: "s8"}
BLOCKS = {6: (4, 2), 7: (4, 4), 8: (8, 2)}  # bits of a weight, bytes of scales for a row and group
CACHES = {0: "f16", 1: "f32", 2: "q8", 3: "q4"}
LZMA = {"id": lzma.FILTER_LZMA1, "dict_size": 64 << 20, "lc": 0, "lp": 2, "pb": 2}  # llmir_bundle.h: LLMIR_LZMA_LC, _LP, _PB
PIECE_KEYS, PARTS = 256, 64  # llmir_bundle.h: LLMIR_GPU_PIECE_KEYS, LLMIR_GPU_PARTS


@dataclasses.dataclass
class Chip:
    """Bandwidth, clocks and dense int8 operations: NVIDIA's data sheets (H100 SXM5 80 GB; GeForce RTX 4060). Latency in clocks: Luo et al., "Benchmarking and
    Dissecting the NVIDIA Hopper GPU Architecture via Microbenchmarking" (2024), H100 and RTX 4090, times 1.5 for a loaded memory.
    Threads and shared memory of an SM: CUDA C++ programming guide, compute capabilities."""
    name: str
    arch: str
    sms: int
    clock: float
    bandwidth: float
    latency: float
    threads: int
    shared: int
    int8: float

    def pipes(self):
        """Warps' instructions that an SM starts in a clock: the programming guide's table of throughputs over 32 lanes; a product of
        m16n8k32 is 8192 operations."""
        return {"issue": 4.0, "fma": 4.0, "int": 2.0, "dot": 2.0, "convert": 0.5, "memory": 1.0,
                "tensor": self.int8 / self.sms / self.clock / 8192}


CHIPS = (Chip("H100 SXM", "sm_90", 132, 1.755e9, 3.35e12, 1.5 * 478.8, 2048, 228 << 10, 1979e12),
         Chip("RTX 4060", "sm_89", 24, 2.46e9, 272e9, 1.5 * 541.5, 1536, 100 << 10, 121e12))

def pipe_of(name):
    base = name.split(".")[0]
    if base.startswith(("LDG", "STG", "LDS", "STS", "LDC", "ATOM", "RED")):
        return "memory"
    if base == "IDP":
        return "dot"
    if base == "IMMA":
        return "tensor"
    if base in ("I2F", "I2FP", "F2I", "F2F", "MUFU", "FRND"):
        return "convert"
    if base.startswith(("FFMA", "FMUL", "FADD", "HFMA", "HADD", "HMUL")):
        return "fma"
    return "int" if base.startswith(("I", "L", "S", "P", "V", "F", "B", "U")) else "issue"


def u32(data, offset, count):
    return struct.unpack_from(f"<{count}I", data, offset)


class Bundle:
    def __init__(self, path):
        data = path.read_bytes()
        (count,), (table,) = u32(data, 20, 1), struct.unpack_from("<Q", data, 32)
        self.plan = self.code = None
        for i in range(count):
            kind, target, level, _, offset, size = struct.unpack_from("<IIIIQQ", data, table + 64 * i)
            if kind == PLAN:
                self.plan = data[offset:offset + size]
            elif kind == CODE and target == CUDA and (self.code is None or level == 80):
                self.code = data[offset:offset + size]
        if self.code is None:
            raise SystemExit(f"{path} has no code for CUDA")
        (image,) = struct.unpack_from("<Q", self.code, 16)
        _, self.function_count, functions, binary, size = u32(self.code, image, 5)
        packed = self.code[image + binary:image + binary + size]
        self.ptx = lzma.decompress(packed, format=lzma.FORMAT_RAW, filters=[LZMA]).rstrip(b"\0")
        self.functions = [u32(self.code, image + functions + 32 * i, 8) for i in range(self.function_count)]

    def kernels(self):
        """(kernel, parameters, function, whether it takes a part, its kind of cache) of every function that a variant has."""
        _, _, variants, at = u32(self.plan, 0, 4)
        (entries,) = u32(self.code, 12, 1)
        seen = set()
        for i in range(variants):
            kernel, _, offset, size = u32(self.plan, at + 16 * i, 4)
            function = u32(self.code, entries + 4 * i, 1)[0] - 1
            while function >= 0 and function not in seen:
                seen.add(function)
                kv_type, split, following = self.functions[function][5:8]
                yield kernel, self.plan[offset:offset + size], function, False, kv_type
                if split:
                    yield kernel, self.plan[offset:offset + size], split - 1, True, kv_type
                function = following - 1


def assemble(ptx, chip, tools):
    """(text of the machine code by function, registers, shared bytes)"""
    with tempfile.TemporaryDirectory() as folder:
        source, cubin = pathlib.Path(folder, "k.ptx"), pathlib.Path(folder, "k.cubin")
        source.write_bytes(ptx)
        log = subprocess.run([tools.ptxas, "-v", f"-arch={chip.arch}", source, "-o", cubin], capture_output=True, text=True, check=True).stderr
        text = subprocess.run([tools.nvdisasm, "-c", cubin], capture_output=True, text=True, check=True).stdout
    if set(re.findall(r"(\d+) bytes spill", log)) - {"0"}:
        raise SystemExit("a kernel spills registers")
    used = {}
    for name, rest in re.findall(r"Compiling entry function '(\w+)'.*?(Used [^\n]*)", log, re.S):
        shared = re.search(r"(\d+) bytes smem", rest)
        used[name] = (int(re.search(r"Used (\d+)", rest).group(1)), int(shared.group(1)) if shared else 0)
    parts = re.split(r"\n\.text\.(\w+):\n", text)
    return dict(zip(parts[1::2], parts[2::2])), used


LINE = re.compile(r"^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\d+\s+)?([A-Z][\w.]*)\s*([^;]*);")


class Loop:
    """The innermost loop of a function that reads most from global memory."""

    def __init__(self, text):
        lines, labels, spans = [], {}, []
        for line in text.splitlines():
            label = re.match(r"^(\.L_x_\d+):", line)
            if label:
                labels[label.group(1)] = len(lines)
            found = LINE.match(line)
            if found:
                lines.append((found.group(1), found.group(2)))
        for end, (name, operands) in enumerate(lines):
            target = re.search(r"\((\.L_x_\d+)\)", operands)
            if name.startswith("BRA") and target and labels.get(target.group(1), end) < end:
                spans.append((labels[target.group(1)], end + 1))
        inner = [a for a in spans if not any(b != a and b[0] >= a[0] and b[1] <= a[1] for b in spans)]
        bodies = [lines[begin:end] for begin, end in inner] or [lines]
        self.body = max(bodies, key=lambda body: sum(self.read_bytes(name) for name, _ in body if name.startswith("LDG")))
        self.counts = collections.Counter()
        for name, _ in self.body:
            self.counts[pipe_of(name)] += 1
        self.counts["issue"] = len(self.body)
        self.dots = self.counts["dot"]
        self.bytes = sum(self.read_bytes(name) for name, _ in self.body if name.startswith("LDG"))
        self.in_flight = self.most_in_flight()

    @staticmethod
    def read_bytes(name):
        """Of one thread."""
        wide = re.search(r"\.(64|128|[US](?:8|16))\b", name.replace("LDG.E", ""))
        return {"64": 8, "128": 16, "U8": 1, "S8": 1, "U16": 2, "S16": 2}[wide.group(1)] if wide else 4

    def most_in_flight(self):
        """Bytes of a thread that were asked for and not needed yet, at most."""
        waiting, most = {}, 0
        for name, operands in self.body:
            registers = [int(r) for r in re.findall(r"\bR(\d+)\b", operands)]
            is_load = name.startswith("LDG")
            for register in registers[1:] if is_load else registers:
                for first in [f for f, (count, _) in waiting.items() if f <= register < f + count]:
                    del waiting[first]
            if is_load and registers:
                size = self.read_bytes(name)
                waiting[registers[0]] = ((size + 3) // 4, size)
            most = max(most, sum(size for _, size in waiting.values()))
        return most

    def clocks(self, pipes):
        """Of an SM, for one pass of one warp; and the pipe that takes them."""
        return max((count / pipes[pipe], pipe) for pipe, count in self.counts.items())


def resident_warps(chip, threads, registers, shared, blocks):
    rounded = (registers + 7) // 8 * 8
    fit = min(32, chip.threads // threads, 65536 // (rounded * threads), chip.shared // (shared + 1024))
    return min(float(fit), blocks / chip.sms) * threads / 32


def weight_bytes(params, tokens, loop):
    """Bytes of weights that a thread reads in a pass through the loop; activations come from the cache."""
    _, _, layout, group, flags, gate = u32(params, 0, 6)
    if layout not in BLOCKS:
        return loop.bytes
    matrices, halves = 1 + bool(gate), 1 + bool(flags & 4)
    rows = 4 if any(".128" in name for name, _ in loop.body) else 1
    groups = loop.dots * 4 / (rows * group * matrices * halves * tokens)
    bits, scales = BLOCKS[layout]
    return groups * rows * matrices * (group * bits // 8 + scales)


def describe(kernel, params, function, depth, is_part, kv_type):
    """(what, workgroups for one token, whether it decodes)"""
    _, grid, _, rows_min = function[:4]
    if kernel == LINEAR:
        outputs, columns, layout, group, flags, gate = u32(params, 0, 6)
        name = f"{outputs} × {columns} {NAMES[layout]}" + (", 16 bits" if flags & 4 else "") + (", gate" if gate else "")
        return name, grid, rows_min == 1
    heads, kv_heads, dim = u32(params, 0, 3)
    pieces = -(-depth // PIECE_KEYS)
    parts = -(-pieces // -(-pieces // PARTS)) if is_part else 1
    return f"attention {heads}/{kv_heads} × {dim}, {CACHES[kv_type]}, {depth} keys" + (f" in {parts} parts" if is_part else ""), grid * parts, True


def row_of(chip, name, decodes, grid, function, loop, used, from_memory):
    registers, shared = used
    warps = resident_warps(chip, function[0], registers, shared, grid if decodes else 1e9)
    clocks, pipe = loop.clocks(chip.pipes())
    per_clock = chip.bandwidth / chip.sms / chip.clock
    needed = per_clock * chip.latency
    flight = warps * loop.in_flight * 32 * from_memory / loop.bytes
    head = f"| {name} | {function[0]} | {registers}, {shared} | {warps:.1f} | {loop.counts['issue']} | {from_memory * 32:.0f} | "
    if decodes:
        speed = 32 * from_memory / clocks / per_clock
        share = min(1.0, flight / needed, speed)
        return head + f"{flight / 1024:.1f} of {needed / 1024:.1f} KiB | {speed:.2f} ({pipe}) | {100 * share:.0f} % |"
    unit = "tensor" if loop.counts["tensor"] else "dot"
    peak = loop.counts[unit] / chip.pipes()[unit] / clocks
    return head + f"{flight / 1024:.1f} KiB | {pipe} | {100 * peak:.0f} % of {'IMMA' if unit == 'tensor' else 'dp4a'} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=pathlib.Path)
    parser.add_argument("--depth", type=int, default=4096)
    parser.add_argument("--ptxas", default="ptxas")
    parser.add_argument("--nvdisasm", default="nvdisasm")
    arguments = parser.parse_args()
    bundle = Bundle(arguments.bundle)
    for chip in CHIPS:
        texts, used = assemble(bundle.ptx, chip, arguments)
        print(f"\n{chip.name}\n\n| kernel | threads | registers, shared | warps an SM | instructions | bytes | in flight | pipes / memory | expected |\n"
              "|---|---|---|---|---|---|---|---|---|")
        for kernel, params, index, is_part, kv_type in bundle.kernels():
            if kernel in (LINEAR, ATTENTION):
                function = bundle.functions[index]
                name, grid, decodes = describe(kernel, params, function, arguments.depth, is_part, kv_type)
                loop = Loop(texts[f"f{index}"])
                from_memory = weight_bytes(params, function[2], loop) if kernel == LINEAR and decodes else loop.bytes
                print(row_of(chip, name, decodes, grid, function, loop, used[f"f{index}"], from_memory))


if __name__ == "__main__":
    main()
