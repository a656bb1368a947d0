#!/bin/sh
# The golden test on the vocabulary of a real model:
#
#   check_gguf.sh smollm2|gemma3 TOKENIZER_SECTION TEST_PROGRAM WORK_FOLDER
#
# The model file is $LLMIR_SMOLLM2_GGUF or $LLMIR_GEMMA3_GGUF. Without one the exit code is 77: skipped.
set -eu
name=$1 section_tool=$2 test_program=$3 work=$4
here=$(dirname "$0")

case $name in
smollm2) model=${LLMIR_SMOLLM2_GGUF:-} ;;
gemma3) model=${LLMIR_GEMMA3_GGUF:-} ;;
esac
if [ -z "$model" ]; then
    echo "no model file for $name: skipped"
    exit 77
fi
"$section_tool" "$model" "$work/$name.section"
"$test_program" "$work/$name.section" "$here/corpus.txt" "$here/$name.ids"
