#!/bin/sh
# The quick start as a newcomer runs it, from another folder: it must end in an answer, and the second start must come
# to its first word within a second. Both times are printed.
set -eu
quickstart=$(cd "$(dirname "$0")/.." && pwd)/examples/quickstart.sh
cd /

fail() {
    echo "quickstart: $1" >&2
    exit 1
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# Asks a question with a known answer; prints the milliseconds that it took.
ask() {
    begin=$(now_ms)
    answer=$(sh "$quickstart" -p "What is the capital of France?" --greedy -n "$1") || fail "it failed"
    echo $(($(now_ms) - begin))
    case $answer in
    *Paris*) ;;
    *) fail "the answer is '$answer', expected Paris in it" ;;
    esac
}

first=$(ask 40)
second=$(ask 8)
echo "quickstart: an answer after $first ms; the second start answers after $second ms"
[ "$second" -lt 1000 ] || fail "the second start took $second ms, at most 1000"
