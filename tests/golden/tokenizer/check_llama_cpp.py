#!/usr/bin/env python3
"""Compares real vocabularies with the ids that llama.cpp keeps for them; for a look by hand, since the files are big.

    check_llama_cpp.py FOLDER BUILD_FOLDER

FOLDER holds llama.cpp's models/ggml-vocab-*.gguf with their .inp and .out (also in the source package of
llama-cpp-python). A vocabulary becomes part of a model of one small layer, since llmirc reads models. Kinds of
vocabularies that are not supported are told and skipped. Needs numpy and gguf (PyPI)."""

import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np

SIZE = 32  # of every dimension of the model around a vocabulary
SEPARATOR = "\n__ggml_vocab_test__\n"


def write_model(vocabulary, path):
    reader = gguf.GGUFReader(vocabulary)
    writer = gguf.GGUFWriter(path, "llama")
    for key, field in reader.fields.items():
        if key.startswith("tokenizer."):
            kind = field.types[0]
            writer.add_key_value(key, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    writer.add_context_length(64)
    writer.add_embedding_length(SIZE)
    writer.add_block_count(1)
    writer.add_feed_forward_length(SIZE)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    count = len(reader.fields["tokenizer.ggml.tokens"].data)
    writer.add_tensor("token_embd.weight", np.zeros((count, SIZE), np.float16))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(SIZE, np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros((SIZE, SIZE), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_corpus(vocabulary, corpus, ids):
    """The test's form: one text a line, all bytes but plain ones escaped, and at least 200 lines."""
    texts = pathlib.Path(f"{vocabulary}.inp").read_bytes().decode().split(SEPARATOR)
    lines = pathlib.Path(f"{vocabulary}.out").read_text().split("\n")
    padding = [""] * 201
    corpus.write_text("".join("".join(map(escape, text.encode())) + "\n" for text in texts + padding))
    ids.write_text("".join(line.strip() + "\n" for line in lines[: len(texts)] + padding))
    return len(texts)


def escape(byte):
    return chr(byte) if 0x21 <= byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}"


def check(vocabulary, build, work):
    """'equal', or what went otherwise."""
    model, section, corpus, ids = (work / name for name in ("model.gguf", "section", "corpus.txt", "ids"))
    write_model(vocabulary, model)
    made = subprocess.run([build / "bin" / "tokenizer-section", model, section], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return made.stderr.strip().rpartition("error: ")[2], True
    count = write_corpus(vocabulary, corpus, ids)
    program = build / "tests" / "golden" / "tokenizer" / "test_tokenizer_golden"
    result = subprocess.run([program, section, corpus, ids, "*reference_ids"], capture_output=True, check=False)
    if result.returncode != 0:
        return result.stdout.decode(errors="replace")[:2000], False
    return f"{count} texts equal", True


def main():
    folder, build = map(pathlib.Path, sys.argv[1:3])
    good = True
    for vocabulary in sorted(folder.glob("ggml-vocab-*.gguf")):
        if not pathlib.Path(f"{vocabulary}.inp").exists():
            continue
        with tempfile.TemporaryDirectory() as work:
            text, fine = check(vocabulary, build, pathlib.Path(work))
        print(f"{vocabulary.stem}: {text}", flush=True)
        good = good and fine
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main())
