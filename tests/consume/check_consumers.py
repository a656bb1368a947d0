#!/usr/bin/env python3
"""Builds and runs applications that use the library in each way it is offered, and compares what they print.

    check_consumers.py WORK KIND...    kinds: package, subdirectory, fetch, pkgconfig, single_file, gnu_single_file, prefix, two_versions

Environment, from CMake: LLMIR_SOURCE, LLMIR_BUILD, LLMIR_CMAKE, LLMIR_CC, LLMIR_CXX, LLMIR_GENERATOR. WORK is made anew."""

import os
import pathlib
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(os.environ["LLMIR_SOURCE"])
BUILD = pathlib.Path(os.environ["LLMIR_BUILD"])
CMAKE = os.environ["LLMIR_CMAKE"]
CC = os.environ["LLMIR_CC"]
CXX = os.environ["LLMIR_CXX"]
CONSUME = SOURCE / "tests/consume"
GOLDEN = SOURCE / "tests/golden/format1.llmir"
EXPECTED = (SOURCE / "tests/golden/format1.tokens").read_text().strip()


def run(*command, **options):
    """Runs a command that must succeed; returns what it printed."""
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nexit code {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def check_output(program, **options):
    printed = run(program, GOLDEN, **options).strip()
    if printed != EXPECTED:
        sys.exit(f"{program} printed\n{printed}\nexpected\n{EXPECTED}")


def configure(source, build, *options):
    run(CMAKE, "-S", source, "-B", build, "-G", os.environ["LLMIR_GENERATOR"], f"-DCMAKE_C_COMPILER={CC}",
        f"-DCMAKE_CXX_COMPILER={CXX}", *options)
    run(CMAKE, "--build", build)


def install(work):
    """Into a prefix with a space, then moved: nothing in it may name a folder."""
    first, prefix = work / "first prefix", work / "prefix"
    for component in ("development", "runtime"):
        run(CMAKE, "--install", BUILD, "--prefix", first, "--component", component)
    first.rename(prefix)
    for path in [*prefix.rglob("*.cmake"), *prefix.rglob("*.pc")]:
        for folder in (SOURCE, BUILD, first):
            if str(folder) in path.read_text():
                sys.exit(f"{path} names {folder}")
    return prefix


def check_shared(program, is_expected):
    needed = "libllmir.so" in run("readelf", "-d", program)
    if needed != is_expected:
        sys.exit(f"{program}: shared library {'' if needed else 'not '}needed, expected the contrary")


def package(work):
    prefix = install(work)
    kinds = (False, True) if list(prefix.rglob("libllmir.so")) else (False,)
    version = (SOURCE / "core/include/llmir.h").read_text()
    version = ".".join(version.split(f"#define LLMIR_VERSION_{part} ")[1].split()[0] for part in ("MAJOR", "MINOR", "PATCH"))
    for is_shared in kinds:
        build = work / ("shared" if is_shared else "static")
        configure(CONSUME / "cmake_package", build, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DBUILD_SHARED_LIBS={int(is_shared)}")
        check_output(build / "consumer")
        check_shared(build / "consumer", is_shared)
        printed = run(build / "version_user").strip()
        if printed != version:
            sys.exit(f"the C++ program printed {printed}, llmir.h says {version}")


def subdirectory(work, *options):
    """The smallest build, for time: it is about CMake, not about the library."""
    configure(CONSUME / "add_subdirectory", work / "build", f"-DLLMIR_SOURCE={SOURCE}", "-DLLMIR_MINIMAL=ON", *options)
    check_output(work / "build/consumer")


def fetch(work):
    subdirectory(work, "-DLLMIR_FETCH=ON")


def pkgconfig(work):
    prefix = install(work)
    library_folder = next(prefix.rglob("llmir.pc")).parent.parent
    environment = {**os.environ, "PKG_CONFIG_PATH": str(library_folder / "pkgconfig"), "CC": CC}
    has_shared = (library_folder / "libllmir.so").exists()
    for is_shared in (True, False) if has_shared else (False,):
        build = work / ("make-shared" if is_shared else "make-static")
        build.mkdir()
        static = [] if is_shared else ["STATIC=1"]
        run("make", "-f", CONSUME / "pkgconfig_make/Makefile", f"CONSUME={CONSUME}", *static, cwd=build, env=environment)
        check_output(build / "consumer", env={**os.environ, "LD_LIBRARY_PATH": str(library_folder)})
        check_shared(build / "consumer", is_shared)


def check_symbols(library, header):
    run("sh", SOURCE / "tests/check_symbols.sh", library, header, "all", "nm")


def single_file(work, flags=""):
    """Without a warning, with the same bits on every ISA level, and nothing for a linker but the functions of llmir.h."""
    single = BUILD / "single_file"
    command = ["make", "-f", CONSUME / "single_file/Makefile", f"CONSUME={CONSUME}", f"LLMIR={single}", f"CC={CC}"]
    run(*command, *([f"CFLAGS={flags}"] if flags else []), cwd=work)
    check_output(work / "consumer")
    check_symbols(work / "llmir.o", single / "llmir.h")
    library = BUILD / "core/libllmir.a"
    run(CC, "-std=c11", f"-I{SOURCE / 'core/include'}", CONSUME / "consumer.c", library, "-lm", "-pthread", "-o", work / "whole")
    expected, found = (run(program, GOLDEN, "bits") for program in (work / "whole", work / "consumer"))
    if expected != found or len(expected) < 32:
        sys.exit(f"logits of the single file:\n{found}of the library:\n{expected}")


def gnu_single_file(work):
    """Where the compiler would fuse multiplications and additions by itself: GNU C for this processor."""
    single_file(work, "-O2 -march=native -Wall -Wextra -Werror")


def two_versions(work):
    new, old = work / "new", work / "old"
    for folder in (new, old):
        shutil.copytree(BUILD / "single_file", folder)
    header = (old / "llmir.h").read_text()
    if "#define LLMIR_VERSION_PATCH 0" not in header:
        sys.exit("the version of llmir.h is not where it was")
    (old / "llmir.h").write_text(header.replace("#define LLMIR_VERSION_PATCH 0", "#define LLMIR_VERSION_PATCH 77"))
    run("make", "-f", CONSUME / "two_versions/Makefile", f"CONSUME={CONSUME}", f"OLD={old}", f"NEW={new}", f"CC={CC}", cwd=work)
    *tokens, versions = run(work / "two_versions", GOLDEN).strip().split("\n")
    if tokens != [EXPECTED, EXPECTED] or versions.split()[0][-2:] != "4d" or versions.split()[1][-2:] != "00":
        sys.exit(f"two versions printed {tokens} {versions}")


def prefix(work):
    """Two builds by CMake, each with a prefix, in one program: nothing of one is seen by the other. Unoptimised, for time."""
    objects = []
    for name in ("old", "new"):
        configure(SOURCE, work / name, f"-DLLMIR_PREFIX={name}_", "-DLLMIR_MINIMAL=ON", "-DLLMIR_BUILD_EXAMPLES=OFF", "-DCMAKE_BUILD_TYPE=Debug")
        library, headers = work / name / "core/libllmir.a", work / name / "prefixed"
        for line in run("nm", "-g", "--defined-only", library).splitlines():
            if len(line.split()) == 3 and not line.split()[2].startswith(f"{name}_llmir_"):
                sys.exit(f"{library} defines {line}")
        sources = [(CONSUME / "consumer.c", f"-DCONSUMER_MAIN={name}_main")]
        if name == "new":
            sources.append((CONSUME / "two_versions/two_versions_main.c", "-DMAIN"))
        for source, define in sources:
            objects.append(work / f"{name}_{source.stem}.o")
            run(CC, "-std=c11", "-Wall", "-Wextra", "-Werror", define, f"-I{headers}", "-c", source, "-o", objects[-1])
        objects.append(library)
    run(CC, *objects, "-lm", "-pthread", "-o", work / "both")
    *tokens, versions = run(work / "both", GOLDEN).strip().split("\n")
    if tokens != [EXPECTED, EXPECTED] or len(set(versions.split())) != 1:
        sys.exit(f"two builds printed {tokens} {versions}")


KINDS = {function.__name__: function for function in (package, subdirectory, fetch, pkgconfig, single_file, gnu_single_file, prefix, two_versions)}


def main():
    if len(sys.argv) < 3 or not set(sys.argv[2:]) <= set(KINDS):
        sys.exit(f"usage: check_consumers.py WORK KIND...   kinds: {' '.join(KINDS)}")
    for kind in sys.argv[2:]:
        work = pathlib.Path(sys.argv[1]) / kind
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        KINDS[kind](work)
        print(f"{kind}: as expected")


if __name__ == "__main__":
    main()
