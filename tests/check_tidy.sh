#!/bin/sh
# clang-tidy over the C sources of a build with .clang-tidy's rules; any finding fails.
#
#   sh tests/check_tidy.sh [BUILD]     default: build-release; needs clang-tidy-19
set -eu
cd "$(dirname "$0")/.."
build=${1:-build-release}
cmake -B "$build" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null
git ls-files -- 'core/*.c' 'platform/posix/*.c' 'quant/*.c' 'targets/*.c' 'examples/*.c' |
    xargs -P "$(getconf _NPROCESSORS_ONLN)" -n 4 clang-tidy-19 -p "$build" --quiet
