#!/usr/bin/env python3
"""Writes the library as one source and one header, llmir.c and llmir.h, from the sources of the build.

    single_file.py MANIFEST OUT-FOLDER      MANIFEST: JSON from LlmirSingleFile.cmake, which says what the library is made of
    single_file.py --header ROOT PREFIX OUT-FOLDER      llmir.h alone, for a library whose names begin with PREFIX

Everything but the functions of llmir.h becomes static, so nothing else is left for a linker; LLMIR_PREFIX renames those too.
Names that two sources share get their file's name behind them. The kernels, which a build compiles once for each ISA level, are
one section of the file, in which the file includes itself once a level: their names get the level behind them, their
questions for instruction sets (__AVX2__) become questions for the level's (LLMIR_ISA_AVX2), and a pragma lets the compiler use
its instructions. Which level runs is found out when the program runs, as in the whole library."""

import json
import pathlib
import re
import sys

# Instruction sets of a level: what the compilers call them. A level has those of the levels before it.
ISA_OF_LEVEL = {
    "x86_64_v2": "sse3,ssse3,sse4.1,sse4.2,popcnt,cx16,sahf",
    "x86_64_v3": "avx,avx2,bmi,bmi2,f16c,fma,lzcnt,movbe",
    "x86_64_v4_vnni": "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vnni",
}
PROCESSOR_OF_LEVEL = {"x86_64": "defined(__x86_64__) && !defined(__ILP32__)"}
SYSTEM_OF_PLATFORM = {
    "windows": "defined(_WIN32)",
    "wasi": "defined(__wasi__)",
    "posix": "defined(__unix__) || defined(__unix) || defined(__APPLE__)",
    "none": "1",
}
# What a folder takes from others (platform/CMakeLists.txt says the same).
SHARED_OF_PLATFORM = {
    "wasi": ["none/memory_none.c", "none/thread_none.c", "posix/error_posix.c", "posix/stream_posix.c"],
}
OF_ONE_PLATFORM = re.compile(r"platform/\w+/")
ISA_MACRO = re.compile(r"\b__(AVX\w*?|SSE\w*?|SSSE3|FMA|F16C)__\b")
FEATURE_MACRO = re.compile(r"^#define (_GNU_SOURCE|_DARWIN_C_SOURCE|_DEFAULT_SOURCE|_POSIX_C_SOURCE|_FILE_OFFSET_BITS)\b.*\n", re.M)
STORAGE = r"(?:static|LLMIR_INLINE|LLMIR_VEC|LLMIR_OUTLINE)"


def blank(text):
    """The text with comments, strings and preprocessor lines blanked, character by character."""
    def spaces(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    text = re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', spaces, text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", spaces, text, flags=re.M)


def macros_of(text):
    return set(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", text, re.M))


def names_of(text):
    """Names at file scope that only this file means: static functions and data, types, tags and enumerators."""
    code = blank(text)
    names = set()
    for match in re.finditer(rf"^{STORAGE}\b([^;{{}}]*?)[;{{]", code, re.M):
        head = re.sub(r"__attribute__\(\(.*?\)\)|_Alignas\([^)]*\)", " ", match.group(1))
        found = re.search(r"(\w+)\s*(?:\(|\[|=|$)", head)
        if found:
            names.add(found.group(1))
    names.update(re.findall(r"^(?:typedef\s+)?(?:struct|union|enum)\s+(\w+)\s*\{", code, re.M))
    names.update(re.findall(r"^\}\s*(\w+)\s*(?:;|\[|=)", code, re.M))
    names.update(re.findall(r"^typedef\s[^{}]*?\b(\w+)(?:\s*__attribute__\(\(.*?\)\))?\s*;", code, re.M))
    names.update(re.findall(r"^typedef\s[^{};]*?\(\*(\w+)\)\s*\(", code, re.M))
    for body in re.findall(r"^(?:typedef\s+)?enum\s*\w*\s*\{(.*?)\}", code, re.M | re.S):
        names.update(re.findall(r"(?:^|,)\s*(\w+)", body))
    return names - {"struct", "union", "enum"}


def rename(text, names, suffix):
    """Whole identifiers outside of preprocessor includes; members (behind . or ->) keep their names."""
    if not names:
        return text
    pattern = r"(?<![\w.])(?<!->)(" + "|".join(sorted(map(re.escape, names))) + r")\b"
    lines = text.split("\n")
    return "\n".join(line if line.startswith("#include") else re.sub(pattern, rf"\1_{suffix}", line) for line in lines)


def is_generated(name):
    """Lists that the build makes have no folder."""
    return name.endswith(".inc") and "/" not in name


class Tree:
    def __init__(self, manifest):
        self.root = pathlib.Path(manifest["root"])
        self.generated = manifest["generated"]
        self.texts = {}

    def platforms(self):
        """The folders of platform/ with their sources, in the order in which the preprocessor asks."""
        folders = {path.name for path in (self.root / "platform").iterdir() if path.is_dir()}
        if unknown := folders - set(SYSTEM_OF_PLATFORM):
            raise SystemExit(f"single_file.py: how does a compiler tell {' and '.join(sorted(unknown))}? See SYSTEM_OF_PLATFORM")
        return {name: sorted([*(f"platform/{name}/{path.name}" for path in (self.root / "platform" / name).glob("*.c")),
                              *(f"platform/{path}" for path in SHARED_OF_PLATFORM.get(name, ()))])
                for name in SYSTEM_OF_PLATFORM if name in folders}

    def read(self, path):
        if path not in self.texts:
            self.texts[path] = (self.root / path).read_text(encoding="utf-8")
        return self.texts[path]

    def find(self, name):
        """A project header as a path below the root."""
        for path in (name, f"core/include/{name}"):
            if (self.root / path).is_file():
                return path
        raise SystemExit(f"single_file.py: {name} is not in {self.root}")

    def headers_of(self, path, seen=None):
        """All project headers that a file includes, directly or not."""
        seen = set() if seen is None else seen
        for name in re.findall(r'^\s*#\s*include "([^"]+)"', self.read(path), re.M):
            if not is_generated(name) and (header := self.find(name)) not in seen:
                seen.add(header)
                self.headers_of(header, seen)
        return seen


class Writer:
    """Puts files one behind the other with their headers in place."""

    def __init__(self, tree):
        self.tree = tree
        self.parts = []
        self.done = {"core/include/llmir.h"}

    def write(self, text):
        self.parts.append(text)

    def file(self, path, text=None, is_conditional=False):
        """Appends a file; a header inside of #if is written there, and again where it is needed elsewhere."""
        text = self.tree.read(path) if text is None else text
        self.write(f"/* ==== {path} ==== */\n")
        depth = 0
        guard = re.search(r"^#ifndef (\w+)\n#define \1\n", text, re.M)
        base = 1 if guard else 0
        for line in text.split("\n"):
            included = re.match(r'\s*#\s*include "([^"]+)"', line)
            if re.match(r"\s*#\s*if", line):
                depth += 1
            elif re.match(r"\s*#\s*endif", line):
                depth -= 1
            if included is None:
                self.write(line + "\n")
            elif is_generated(included.group(1)):
                self.write(self.tree.generated[included.group(1)])
            else:
                self.header(self.tree.find(included.group(1)), is_conditional or depth > base)

    def header(self, path, is_conditional=False):
        if path in self.done:
            return
        if not is_conditional:
            self.done.add(path)
        self.file(path, hide(self.tree.read(path)), is_conditional)


def hide(text):
    """A header whose functions are internal: static; data is defined before it is used, so declarations of it go."""
    code = blank(text)
    spans = []
    pattern = r"^(?!typedef|static|extern|struct\s+\w+\s*\{|LLMIR_INLINE|LLMIR_VEC|LLMIR_OUTLINE|LLMIR_API|\})[A-Za-z_][^;{}=]*\)\s*;"
    for match in re.finditer(pattern, code, re.M):
        if not match.group(0).startswith("_Static_assert") and "LLMIR_BUNDLE_ASSERT" not in match.group(0):
            spans.append(match.start())
    for start in reversed(spans):
        text = text[:start] + "LLMIR_INTERNAL " + text[start:]
    return re.sub(r"^extern const [^;(]*;\n", "", text, flags=re.M)


def data_of(tree, sources):
    """Constants with a name for other files, and the files that define them, users behind what they use."""
    declared = set()
    for path in sources:
        for header in tree.headers_of(path) - {"core/include/llmir.h"}:
            declared.update(re.findall(r"^extern const [^;(]*?\b(\w+)(?:\[\])?;", tree.read(header), re.M))
    defining = {}
    for path in sources:
        found = {name for name in declared if re.search(rf"^const [^;(=]*\b{name}\b[^;(]*=", tree.read(path), re.M)}
        if found:
            defining[path] = found
    order = sorted(defining, key=lambda path: (path.startswith("core/"), not path.startswith("targets/cpu/kernels/"), path))
    return declared, order


def source_text(tree, path, shared_names, data):
    """A source on its way into the file."""
    text = FEATURE_MACRO.sub("", tree.read(path))
    text = re.sub(r"^ +LLMIR_CPU_KERNEL_DECLARE\(.*\n", "", text, flags=re.M)  # the kernels are above it
    text = rename(text, names_of(text) & shared_names, pathlib.PurePath(path).stem)
    for name in data:
        text = re.sub(rf"^(const [^;(=]*\b{name}\b[^;(]*=)", r"static \1", text, flags=re.M)
    return text


def shared_names_of(tree, sources, headers):
    """Names that sources give to things of their own and that another source or a header has too, or a C library may have."""
    seen = set().union(*(names_of(tree.read(path)) for path in headers))
    shared = set()
    for path in sources:
        names = names_of(tree.read(path))
        shared |= names & seen | {name for name in names if "_" not in name}
        seen |= names
    return shared


def write_sources(writer, sources, shared, data):
    for path in sources:
        text = source_text(writer.tree, path, shared, data)
        writer.file(path, text)
        for macro in sorted(macros_of(text)):
            writer.write(f"#undef {macro}\n")


def write_kernels(writer, sources, level_headers):
    """The section in which the file includes itself: all kernels of the level LLMIR_CPU_SUFFIX."""
    tree = writer.tree
    inner = Writer(tree)
    inner.done = set(writer.done)
    shared = shared_names_of(tree, sources, level_headers)
    names, macros = set(), set()
    for path in sorted(level_headers):
        names |= names_of(tree.read(path))
        macros |= macros_of(tree.read(path))
    for path in sources:
        text = source_text(tree, path, shared, set())
        names |= names_of(text)
        text = re.sub(r"^void LLMIR_KERNEL_NAME\(", "LLMIR_INTERNAL void LLMIR_KERNEL_NAME(", text, flags=re.M)
        inner.file(path, text)
        for macro in sorted(macros_of(text)):
            inner.write(f"#undef {macro}\n")
    section = ISA_MACRO.sub(r"LLMIR_ISA_\1", "".join(inner.parts))
    # Functions that macros make: name_##x(...) becomes name_x_<level>(...).
    section = re.sub(r"\b(\w+(?:##\w+)+)(?=\()", r"LLMIR_LEVEL_PASTE(\1, LLMIR_CPU_SUFFIX)", section)
    for name in sorted(names):
        writer.write(f"#define {name} LLMIR_LEVEL_NAME({name})\n")
    writer.write(section)
    for name in sorted(names | macros):
        writer.write(f"#undef {name}\n")


def level_passes(manifest, isa_macros):
    """One inclusion a level; ascending levels of one processor have all that the lower ones have."""
    lines = ["#define LLMIR_CPU_SUFFIX portable", "#include LLMIR_SOURCE", "#undef LLMIR_CPU_SUFFIX"]
    table = [f'LLMIR_CPU_KERNEL_LEVEL(portable, portable, {manifest["levels"]["portable"]})']
    for family, condition in PROCESSOR_OF_LEVEL.items():
        levels = [level for level in ISA_OF_LEVEL if level.startswith(family) and level in manifest["levels"]]
        lines.append(f"#if {condition} && !defined(LLMIR_NO_SIMD)")
        table.append(lines[-1])
        isa = ""
        for level in levels:
            isa = f"{isa},{ISA_OF_LEVEL[level]}" if isa else ISA_OF_LEVEL[level]
            for name in ISA_OF_LEVEL[level].upper().replace(".", "_").split(","):
                if name in isa_macros:
                    lines.append(f"#define LLMIR_ISA_{name}")
            lines += ["#if defined(__clang__)",
                      f'#pragma clang attribute push(__attribute__((target("{isa}"))), apply_to = function)',
                      "#else", "#pragma GCC push_options", f'#pragma GCC target("{isa}")', "#endif",
                      f"#define LLMIR_CPU_SUFFIX {level}", "#include LLMIR_SOURCE", "#undef LLMIR_CPU_SUFFIX",
                      "#if defined(__clang__)", "#pragma clang attribute pop", "#else", "#pragma GCC pop_options", "#endif"]
            table.append(f'LLMIR_CPU_KERNEL_LEVEL({level}, {level}, {manifest["levels"][level]})')
        lines.append("#endif")
        table.append("#endif")
    return "\n".join(lines) + "\n", "\n".join(table) + "\n"


HEAD = """/* LLMIR {version}, the library in one file: made by toolchains/single_file.py from its sources, not to be edited.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   cc -std=c11 -O2 -c llmir.c        gcc or clang; link with -lm -pthread. gcc for Windows: and -fno-asynchronous-unwind-tables,
 *                                     without which version 12 fails where two calling conventions meet in one file
 *
 *   LLMIR_PREFIX    all functions of llmir.h begin with it: for a second version in one process. Define it for llmir.c and for
 *                   every source that includes llmir.h
 *   LLMIR_NO_SIMD   portable kernels only
 *   LLMIR_SOURCE    the name of this file, if it is not "llmir.c": it includes itself once for each ISA level of its kernels
 *
 * It has the CPU target. All but the functions of llmir.h is static. */
#if !defined(LLMIR_KERNEL_SECTION)
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* affinity masks */
#endif
#if !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE
#endif
#if !defined(_FILE_OFFSET_BITS)
#define _FILE_OFFSET_BITS 64
#endif
#include "llmir.h"

#include <stddef.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if !defined(LLMIR_SOURCE)
#define LLMIR_SOURCE "llmir.c"
#endif
#define LLMIR_INTERNAL static

/* A fused multiply-add happens only where the source says so, so that all builds give the same bits. What an application
 * does not call may be unused. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic ignored "-Wunused-function"
#elif defined(__GNUC__)
#if !defined(_WIN32)
#pragma GCC optimize("fp-contract=off,no-math-errno")
#elif !defined(__STRICT_ANSI__) /* gcc 12 for Windows fails on this pragma where kernels are called */
#error "llmir.c: GNU C, expected standard C (-std=c11), in which gcc does not fuse multiplications and additions"
#endif
#pragma GCC diagnostic ignored "-Wunused-function"
#endif

"""

KERNELS_BEGIN = """
/* ==== Kernels: the section at the end of this file, once for each ISA level ==== */
#define LLMIR_KERNEL_SECTION
#define LLMIR_LEVEL_PASTE2(name, suffix) name##_##suffix
#define LLMIR_LEVEL_PASTE(name, suffix) LLMIR_LEVEL_PASTE2(name, suffix)
#define LLMIR_LEVEL_NAME(name) LLMIR_LEVEL_PASTE(name, LLMIR_CPU_SUFFIX)
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC push_options
#pragma GCC optimize("O3,no-trapping-math")
#endif
"""

KERNELS_END = """#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC pop_options
#endif
#undef LLMIR_KERNEL_SECTION

"""


def write_platforms(writer, platforms, shared):
    keyword = "if"
    for name, sources in platforms.items():
        writer.write(f"#{keyword} {SYSTEM_OF_PLATFORM[name]}\n")
        write_sources(writer, sources, shared, set())
        writer.done = {path for path in writer.done if not OF_ONE_PLATFORM.match(path)}  # others may need their headers too
        keyword = "elif"
    writer.write("#endif\n")


def make_source(tree, manifest):
    kernels, sources = manifest["kernels"], manifest["sources"]
    platforms = [path for paths in tree.platforms().values() for path in paths]
    outside = set().union(*(tree.headers_of(path) for path in sources + platforms))
    inside = set().union(*(tree.headers_of(path) for path in kernels))
    level_headers = {path for path in inside - outside if path.startswith("targets/")}
    isa_macros = {name for path in kernels + sorted(level_headers) for name in ISA_MACRO.findall(tree.read(path))}
    passes, table = level_passes(manifest, isa_macros)
    tree.generated = {**manifest["generated"], "cpu_kernel_levels.inc": table}

    writer = Writer(tree)
    writer.write(HEAD.format(version=manifest["version"]))
    for path in sorted((inside | outside) - level_headers - {"core/include/llmir.h"}):
        if not OF_ONE_PLATFORM.match(path):
            writer.header(path)
    writer.write(KERNELS_BEGIN + passes + KERNELS_END)
    shared = shared_names_of(tree, sources + platforms, outside)
    data, defining = data_of(tree, sources)
    write_sources(writer, defining + [path for path in sources if path not in defining], shared, data)
    write_platforms(writer, tree.platforms(), shared)  # last: their system headers bring many names along
    writer.write("#else /* LLMIR_KERNEL_SECTION */\n")
    write_kernels(writer, kernels, level_headers)
    writer.write("#endif /* LLMIR_KERNEL_SECTION */\n")
    return re.sub(r"\n{3,}", "\n\n", "".join(writer.parts))


def make_header(tree):
    """llmir.h, and the names of its functions under LLMIR_PREFIX."""
    text = tree.read("core/include/llmir.h")
    names = re.findall(r"^LLMIR_API\b[^;()]*?\b(llmir_\w+)\(", blank(text), re.M)
    block = ["/* The functions under another name, for a second version in one process. */", "#if defined(LLMIR_PREFIX)",
             "#define LLMIR_PREFIX_PASTE2(prefix, name) prefix##name",
             "#define LLMIR_PREFIX_PASTE(prefix, name) LLMIR_PREFIX_PASTE2(prefix, name)"]
    block += [f"#define {name} LLMIR_PREFIX_PASTE(LLMIR_PREFIX, {name})" for name in names]
    mark = "#include <stddef.h>\n#include <stdint.h>\n"
    if mark not in text or not names:
        raise SystemExit("single_file.py: llmir.h has no place for LLMIR_PREFIX, or no functions")
    return text.replace(mark, mark + "\n" + "\n".join(block) + "\n#endif\n", 1)


def write_prefixed_header(root, prefix, folder):
    text = make_header(Tree({"root": root, "generated": {}}))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    own = f"/* This library was built with the prefix {prefix} (LLMIR_PREFIX). */\n#define LLMIR_PREFIX {prefix}\n"
    (folder / "llmir.h").write_text(text.replace("#if defined(LLMIR_PREFIX)\n", "#undef LLMIR_PREFIX\n" + own + "#if defined(LLMIR_PREFIX)\n", 1), encoding="utf-8")


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "--header":
        write_prefixed_header(*sys.argv[2:])
        return
    if len(sys.argv) != 3:
        sys.exit("usage: single_file.py MANIFEST OUT-FOLDER | --header ROOT PREFIX OUT-FOLDER")
    manifest = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    tree = Tree(manifest)
    out = pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    (out / "llmir.c").write_text(make_source(tree, manifest), encoding="utf-8")
    (out / "llmir.h").write_text(make_header(tree), encoding="utf-8")
    read = " ".join(str(tree.root / path).replace(" ", "\\ ") for path in sorted(tree.texts))
    (out / "llmir.d").write_text(f"{out / 'llmir.c'} {out / 'llmir.h'}: {read}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
