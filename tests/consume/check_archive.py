#!/usr/bin/env python3
"""Builds the library from a copy of the sources in another folder: archive, single file and SBOM have the same bytes.

    check_archive.py WORK SOURCE BUILD CMAKE"""

import filecmp
import os
import pathlib
import re
import shutil
import subprocess
import sys

work, source, build = map(pathlib.Path, sys.argv[1:4])
cmake = sys.argv[4]
FOLDERS = ("core", "platform", "quant", "targets", "toolchains", "docs")
# What decides the bytes, taken over from the first build.
TAKEN = ("CMAKE_BUILD_TYPE", "CMAKE_C_COMPILER", "CMAKE_C_FLAGS", "CMAKE_TOOLCHAIN_FILE", "LLMIR_TARGETS", "LLMIR_PLATFORM")


def run(*command):
    environment = {**os.environ, "CCACHE_DISABLE": "1"}  # a cache would compare its own copies
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=environment)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")


shutil.rmtree(work, ignore_errors=True)
copy, second = work / "another folder" / "sources", work / "second build"
for folder in FOLDERS:
    shutil.copytree(source / folder, copy / folder)
for name in ("CMakeLists.txt", "LICENSE", "CHANGELOG.md"):
    shutil.copy(source / name, copy / name)
cache = dict(re.findall(r"^(\w+):\w+=(.*)$", (build / "CMakeCache.txt").read_text(), re.M))
options = [f"-D{name}={cache[name]}" for name in TAKEN if cache.get(name)]
run(cmake, "-S", copy, "-B", second, "-G", cache["CMAKE_GENERATOR"], "-DLLMIR_BUILD_TESTS=OFF", "-DLLMIR_BUILD_EXAMPLES=OFF", *options)
run(cmake, "--build", second, "-j", "2", "--target", "llmir", "llmir_single_file")
for name in ("core/libllmir.a", "single_file/llmir.c", "single_file/llmir.h"):
    if not filecmp.cmp(build / name, second / name, shallow=False):
        sys.exit(f"{name}: {build} and {second} differ")
    print(f"{name}: the same {(build / name).stat().st_size} bytes")
