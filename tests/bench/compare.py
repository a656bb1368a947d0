"""The work of compare.sh: runs llmir and its peers in turn (A B A B ...), so that a machine whose speed drifts
treats all alike, and prints medians, ratios, shares of the machine's limits, start-up and peak memory.

Every run is a process of its own. A figure of llmir is the median of one repeat per round. Where a peer has
several settings, its best one in each round counts, which favours the peer."""

import argparse
import json
import os
import pathlib
import select
import shlex
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
LLMIR = "llmir"
FIRST_PROMPT = "The capital of France is the city in which the river and the old tower are seen by many people who"


def run(command):
    """(standard output, milliseconds to its first byte, peak RSS in MiB)."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        chunks, errors, first = [], [], None
        open_files = {process.stdout: chunks, process.stderr: errors}
        while open_files:
            for file in select.select(list(open_files), [], [])[0]:
                data = os.read(file.fileno(), 65536)
                if file is process.stdout and data and first is None:
                    first = 1e3 * (time.perf_counter() - start)
                open_files[file].append(data)
                if not data:
                    del open_files[file]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"compare: {shlex.join(command)}\n{b''.join(errors).decode(errors='replace')[-2000:]}")
    return b"".join(chunks).decode(errors="replace"), first or 0.0, usage.ru_maxrss / 1024


def parse_json(text):
    """One document or one object a line; lines that are neither are left out."""
    for begin in ("[", "{"):
        at = text.find(begin)
        try:
            found = json.loads(text[at:]) if at >= 0 else None
        except ValueError:
            found = None
        if found is not None:
            return found if isinstance(found, list) else [found]
    lines = [line for line in text.splitlines() if line.startswith("{")]
    return [json.loads(line) for line in lines]


def speeds_of(document):
    """{test: value} of what a bench program printed, of any of the known forms."""
    speeds = {}
    for entry in document:
        if "results" in entry:  # llmir-bench
            for result in entry["results"]:
                speeds[result["test"]] = result["tokens_per_second"]
            if "roofline" in entry:
                speeds["document"] = entry
        elif "milliseconds" in entry:
            speeds["first"] = entry["milliseconds"]
        elif "tokens_per_second" in entry:
            speeds[entry["test"]] = entry["tokens_per_second"]
        elif "avg_ts" in entry:  # llama-bench
            speeds["decode" if entry["n_gen"] > 0 else "prompt"] = entry["avg_ts"]
        elif "speed_tg" in entry:  # llama-batched-bench
            speeds["batch"] = entry["speed_tg"]
    return speeds


def better(test, a, b):
    return min(a, b) if test in ("first", "rss") else max(a, b)


def run_engine(commands, first_commands):
    """One round of an engine: {test: value}."""
    best = {}
    for command in commands:
        text, _, rss = run(command)
        speeds = speeds_of(parse_json(text))
        if "document" in speeds:
            best["document"] = speeds.pop("document")
        speeds["rss"] = rss
        for test, value in speeds.items():
            best[test] = better(test, best.get(test, value), value)
    for command in first_commands:
        text, milliseconds, _ = run(command)
        found = speeds_of(parse_json(text)) if text.startswith("[") else {}
        value = found.get("first", milliseconds)
        best["first"] = better("first", best.get("first", value), value)
    return best


def parse_arguments():
    parser = argparse.ArgumentParser(prog="compare.sh", description="llmir beside other engines")
    parser.add_argument("model")
    parser.add_argument("bundle")
    parser.add_argument("--bin", default="build-release/bin")
    parser.add_argument("--python", default="python3")
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--first", action="append", default=[])
    parser.add_argument("-p", dest="prompt", type=int, default=512)
    parser.add_argument("-n", dest="decode", type=int, default=128)
    parser.add_argument("-d", dest="depth", type=int, default=0)
    parser.add_argument("-b", dest="batch", type=int, default=1)
    parser.add_argument("-t", dest="threads", type=int, default=os.cpu_count())
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def engines_of(args):
    """{name: (bench commands, first-token commands)}; llmir comes first."""
    numbers = {name: getattr(args, name) for name in ("model", "prompt", "decode", "depth", "batch", "threads")}
    bench = "-p {prompt} -n {decode} -d {depth} -b {batch} -t {threads} -r 1".format(**numbers).split()
    engines = {LLMIR: (
        [[f"{args.bin}/llmir-bench", args.bundle, *bench, "--json", "--no-roofline"]],
        [[f"{args.bin}/llmir-chat", args.bundle, "--raw", "--greedy", "-n", "1", "--threads", str(args.threads),
          "-p", FIRST_PROMPT]])}
    if not args.peer:
        driver = [args.python, str(HERE / "llama_cpp_bench.py"), "-m", args.model, *bench]
        engines["llama.cpp"] = ([driver, driver + ["--no-flash"]], [driver + ["--first"]])
    for kind, specs in enumerate((args.peer, args.first)):
        for spec in specs:
            name, _, command = spec.partition("=")
            if not command:
                sys.exit(f"compare: '{spec}': expected NAME=COMMAND")
            engines.setdefault(name, ([], []))[kind].append(shlex.split(command.format(**numbers)))
    return engines


def roofline(args):
    command = [f"{args.bin}/llmir-bench", args.bundle, "-p", "1", "-n", "1", "-t", str(args.threads), "-r", "1", "--json"]
    document = parse_json(run(command)[0])[0]
    result = document["results"][0]
    ops = result["roofline_share"] * document["roofline"]["int8_ops_per_second"] / result["tokens_per_second"]
    return {**document["roofline"], "bytes_per_token": result["bytes_per_token"], "int_ops_per_token": round(ops)}


def print_table(report, peers):
    limits = report["limits"]
    print(f"{report['model']}, {report['threads']} threads, {report['pairs']} rounds; memory read "
          f"{limits['read_bytes_per_second'] * 1e-9:.1f} GB/s, int8 {limits['int8_ops_per_second'] * 1e-9:.0f} GOPS")
    print(f"{'test':<10}{LLMIR:>12}" + "".join(f"{name:>14}{'ratio':>8}" for name in peers) + f"{'of limit':>10}")
    for test, row in report["tests"].items():
        cells = "".join(f"{row[name]:>14.1f}{row['ratio'][name]:>8.2f}" if name in row else f"{'-':>14}{'-':>8}"
                        for name in peers)
        share = f"{100 * row['roofline_share']:>9.1f}%" if "roofline_share" in row else f"{'-':>10}"
        print(f"{test:<10}{row[LLMIR]:>12.1f}{cells}{share}")
    print("prompt, decode, batch: tokens/s; first: ms from process start to the first token; rss: peak MiB; "
          "ratio: how many times better llmir is")


def main():
    args = parse_arguments()
    engines = engines_of(args)
    limits = roofline(args)
    rounds = {name: [] for name in engines}
    for _ in range(args.pairs):
        for name, (commands, first_commands) in engines.items():
            rounds[name].append(run_engine(commands, first_commands))
    tests = {}
    for test in ("prompt", "decode", "batch", "first", "rss"):
        row = {name: statistics.median(r[test] for r in done) for name, done in rounds.items()
               if all(test in r for r in done)}
        if LLMIR not in row:
            continue
        lower = test in ("first", "rss")
        row["ratio"] = {name: value / row[LLMIR] if lower else row[LLMIR] / value
                        for name, value in row.items() if name != LLMIR}
        if test == "prompt" and limits["int_ops_per_token"]:
            row["roofline_share"] = row[LLMIR] * limits["int_ops_per_token"] / limits["int8_ops_per_second"]
        if test == "decode":
            row["roofline_share"] = row[LLMIR] * limits["bytes_per_token"] / limits["read_bytes_per_second"]
        tests[test] = row
    report = {"model": os.path.basename(args.model), "threads": args.threads, "pairs": args.pairs, "limits": limits,
              "tests": tests, "rounds": {name: [{k: v for k, v in r.items() if k != "document"} for r in done]
                                         for name, done in rounds.items()}}
    if args.json:
        print(json.dumps(report))
    else:
        print_table(report, [name for name in engines if name != LLMIR])


if __name__ == "__main__":
    main()
