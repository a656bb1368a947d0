#!/usr/bin/env python3
"""Times llama.cpp through the low-level API of llama-cpp-python, whose wheels bring no llama-bench.

    llama_cpp_bench.py -m MODEL.gguf [-p N] [-n N] [-d DEPTH] [-b BATCH] [-t THREADS] [-r REPEATS] [--no-flash] [--first]

Prints a JSON list of {"test": prompt|decode|batch, "tokens_per_second": best of REPEATS}. --first only computes
one token after a prompt of 20 and prints the milliseconds since the process began."""

import argparse
import ctypes
import json
import os
import time

import llama_cpp

BATCH_PROMPT = 128  # tokens of each sequence before a batch test decodes


def process_age_ms():
    with open("/proc/self/stat", encoding="ascii") as stat:
        started = int(stat.read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    return 1e3 * (time.clock_gettime(time.CLOCK_BOOTTIME) - started)


class Engine:
    def __init__(self, args):
        self.quiet = llama_cpp.llama_log_callback(lambda level, text, user: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        options = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(args.model.encode(), options)
        context = llama_cpp.llama_context_default_params()
        length = max(args.prompt, (args.depth or BATCH_PROMPT) + args.decode + 8, 64)
        context.n_ctx = length * args.batch
        context.n_batch = max(2048, length)
        context.n_ubatch = 512
        context.n_seq_max = args.batch
        context.kv_unified = args.batch > 1
        context.n_threads = context.n_threads_batch = args.threads
        context.flash_attn_type = 0 if args.no_flash else 1
        self.context = llama_cpp.llama_init_from_model(self.model, context)
        if not self.model or not self.context:
            raise SystemExit(f"cannot load {args.model}")
        self.batch = llama_cpp.llama_batch_init(context.n_batch, 0, 1)
        self.vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))

    def reset(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def feed(self, entries):
        """entries: (sequence, position); logits of the last token of each sequence."""
        last = {sequence: i for i, (sequence, _) in enumerate(entries)}
        for i, (sequence, position) in enumerate(entries):
            self.batch.token[i] = (position * 7919 + 42) % self.vocab
            self.batch.pos[i] = position
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = sequence
            self.batch.logits[i] = last[sequence] == i
        self.batch.n_tokens = len(entries)
        if llama_cpp.llama_decode(self.context, self.batch) != 0:
            raise SystemExit("llama_decode failed")
        llama_cpp.llama_get_logits_ith(self.context, len(entries) - 1)


def timed_prompt(engine, args):
    engine.reset()
    start = time.perf_counter()
    engine.feed([(0, i) for i in range(args.prompt)])
    return args.prompt / (time.perf_counter() - start)


def timed_decode(engine, args, batch=1):
    engine.reset()
    depth = args.depth or (BATCH_PROMPT if batch > 1 else 0)
    for sequence in range(batch if depth else 0):
        engine.feed([(sequence, i) for i in range(depth)])
    start = time.perf_counter()
    for i in range(args.decode):
        engine.feed([(sequence, depth + i) for sequence in range(batch)])
    return batch * args.decode / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-m", dest="model", required=True)
    parser.add_argument("-p", dest="prompt", type=int, default=512)
    parser.add_argument("-n", dest="decode", type=int, default=128)
    parser.add_argument("-d", dest="depth", type=int, default=0)
    parser.add_argument("-b", dest="batch", type=int, default=1)
    parser.add_argument("-t", dest="threads", type=int, default=os.cpu_count())
    parser.add_argument("-r", dest="repeats", type=int, default=1)
    parser.add_argument("--no-flash", action="store_true")
    parser.add_argument("--first", action="store_true")
    args = parser.parse_args()
    engine = Engine(args)
    if args.first:
        engine.feed([(0, i) for i in range(20)])
        print(json.dumps([{"test": "first", "milliseconds": process_age_ms()}]))
        return
    tests = []
    if args.prompt:
        tests.append(("prompt", lambda: timed_prompt(engine, args)))
    if args.decode and args.batch == 1:
        tests.append(("decode", lambda: timed_decode(engine, args)))
    if args.decode and args.batch > 1:
        tests.append(("batch", lambda: timed_decode(engine, args, args.batch)))
    results = []
    for name, run in tests:
        run()  # warms up
        results.append({"test": name, "tokens_per_second": max(run() for _ in range(args.repeats))})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
