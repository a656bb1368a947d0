#!/bin/sh
# Compares llmir with other engines on the same weights; see compare.py for what it does and prints.
#
#   tests/bench/compare.sh MODEL.gguf BUNDLE.llmir [options]
#     --bin FOLDER         where llmir-bench and llmir-chat are (build-release/bin)
#     --python PROGRAM     a Python with llama-cpp-python, for the peer of that name (python3)
#     --peer NAME=COMMAND  a peer's bench program, again for more of them; replaces llama-cpp-python.
#                          {model} {prompt} {decode} {depth} {batch} {threads} are filled in. It prints
#                          JSON as `llama-bench -o json` or `llama-batched-bench --output-format jsonl`
#                          do; commands of one NAME are run one after the other, and the best
#                          figure of each test counts ("best setting")
#     --first NAME=COMMAND computes one token after a prompt of 20; timed from start to first byte
#     -p 512 -n 128 -d 0 -b 1 -t 2   as llmir-bench; prompt or decode 0: leave it out
#     --pairs 5            rounds: every engine once in each, in turn
#     --json               one JSON object instead of the table
#
# The weights: a real SmolLM2-135M-Instruct GGUF of the user's, and
#   tests/bench/make_random_gguf.py l1b-Q4_0.gguf --shape llama-1b --type Q4_0 --vocab-from MODEL.gguf
#   llmirc l1b-Q4_0.gguf -o l1b-Q4_0.llmir --quantize keep --target cpu
exec python3 "$(dirname "$0")/compare.py" "$@"
