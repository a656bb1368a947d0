#!/bin/sh
# Builds the fuzzers with address and undefined-behaviour sanitizers and runs each for a while, one on each core; a finding fails.
#
#   sh tests/fuzz/run_fuzzers.sh [SECONDS [FUZZER...]]     20 seconds each; corpora are kept in build-fuzz/corpus/FUZZER
set -eu
cd "$(dirname "$0")/../.."
build=build-fuzz
jobs=$(getconf _NPROCESSORS_ONLN)

has_seeds() { [ -f "tests/fuzz/$1_corpus.c" ] || [ -f "tests/fuzz/$1_corpus.cpp" ]; }
program() { find $build -name "$1" -type f -perm -u+x | head -n 1; }

# run_fuzzer NAME SECONDS: with seeds, words and the corpus that it has, if any.
run_fuzzer() {
    corpus=$build/corpus/$1
    mkdir -p "$corpus" $build/findings
    if has_seeds "$1"; then "$(program "$1_corpus")" "$corpus" >/dev/null; fi
    words=""
    [ ! -f "tests/fuzz/$1.dict" ] || words=-dict=tests/fuzz/$1.dict
    "$(program "fuzz_$1")" "$corpus" ${words:+"$words"} -max_total_time="$2" -max_len=40000 -timeout=20 -rss_limit_mb=4096 \
        -artifact_prefix=$build/findings/"$1"- -print_final_stats=1 -verbosity=0 >"$build/$1.log" 2>&1 ||
        { tail -n 60 "$build/$1.log" >&2; echo "fuzz_$1: a finding, kept in $build/findings" >&2; return 1; }
    echo "fuzz_$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$1.log") executions in $2 s, no finding"
}

if [ "${1:-}" = --run ]; then # this script calls itself so
    run_fuzzer "$3" "$2"
    exit
fi
seconds=${1:-20}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- bundle chat gguf grammar request schema session tokenizer unpack

if [ ! -f $build/build.ninja ]; then
    cmake -B $build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLLMIR_BUILD_FUZZERS=ON -DLLMIR_BUILD_COMPILER=ON \
        -DLLMIR_SANITIZE="address;undefined;fuzzer-no-link" -DCMAKE_C_COMPILER=clang-19 \
        -DCMAKE_CXX_COMPILER=clang++-19 >$build.log 2>&1 || { cat $build.log >&2; exit 1; }
    rm -f $build.log
fi

# Targets of a fuzzer: itself and, where there is one, the program that writes its seeds.
targets=""
for name in "$@"; do
    targets="$targets fuzz_$name"
    if has_seeds "$name"; then targets="$targets ${name}_corpus"; fi
done
# shellcheck disable=SC2086
cmake --build $build -j "$jobs" --target $targets >$build/build.log 2>&1 || { tail -n 60 $build/build.log >&2; exit 1; }
printf '%s\n' "$@" | xargs -n 1 -P "$jobs" sh tests/fuzz/run_fuzzers.sh --run "$seconds"
