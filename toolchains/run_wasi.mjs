// Runs a WASI program with the files, arguments and standard streams of this process: node run_wasi.mjs PROGRAM.wasm [argument...]
// A C library of WASI does not tell "/" from ".", so absolute paths go through the folders of the root, relative ones through ".".
import { readdirSync, readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { WASI } from "node:wasi";

// Node 20 collects garbage inside of WASI's functions, which V8's short way of calling them does not allow: it crashed.
setFlagsFromString("--no-turbo-fast-api-calls");

const [program, ...rest] = process.argv.slice(2);
const preopens = { ".": "." };
for (const entry of readdirSync("/", { withFileTypes: true })) {
    if (entry.isDirectory() && !["proc", "sys"].includes(entry.name)) {
        preopens[`/${entry.name}`] = `/${entry.name}`;
    }
}
const wasi = new WASI({ version: "preview1", args: [program, ...rest], env: process.env, preopens, returnOnExit: true });
// WebAssembly hands 32-bit numbers over as signed ones, of which Node takes descriptors and addresses beyond 2 GiB for wrong.
const functions = {};
for (const [name, call] of Object.entries(wasi.wasiImport)) {
    functions[name] = (...values) => call(...values.map((value) => (typeof value === "number" ? value >>> 0 : value)));
}
const module = new WebAssembly.Module(readFileSync(program));
process.exitCode = wasi.start(new WebAssembly.Instance(module, { wasi_snapshot_preview1: functions }));
