#!/usr/bin/env python3
"""The command line of llmirc: exit codes, messages, and what is left behind.

    check_llmirc.py LLMIRC [MAKE_MODEL.py]

MAKE_MODEL.py writes a small model to the file that it is given; where it cannot run (it needs packages), only the
tests without a model do. Every failure must be one line "llmirc: error: ..." on standard
error, nothing on standard output, and no file at the output's place."""

import lzma
import os
import pathlib
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

LLMIRC = ""
MODEL = None


def run(*arguments, **options):
    return subprocess.run([LLMIRC, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False, **options)


class TestCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out.llmir"

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def assert_fails(self, code, fragment, *arguments):
        before = sorted(self.folder.iterdir())
        result = run(*arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, "")
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertTrue(lines[0].startswith("llmirc: error: "), lines[0])
        self.assertIn(fragment, lines[0])
        self.assertEqual(sorted(self.folder.iterdir()), before, "a file was left behind")


class Usage(TestCase):
    def test_no_arguments_is_wrong_usage(self):
        self.assert_fails(2, "no model")

    def test_missing_output_is_wrong_usage(self):
        self.assert_fails(2, "-o", "model.gguf")

    def test_bundle_to_standard_output_is_wrong_usage(self):
        self.assert_fails(2, "standard output", "model.gguf", "-o", "-")

    def test_unknown_option_is_named(self):
        self.assert_fails(2, "'--colour'", "model.gguf", "-o", self.out, "--colour")

    def test_value_for_a_switch_is_wrong_usage(self):
        self.assert_fails(2, "'--quiet=1'", "model.gguf", "-o", self.out, "--quiet=1")

    def test_missing_value_is_wrong_usage(self):
        self.assert_fails(2, "needs a value", "model.gguf", "-o")
        self.assert_fails(2, "needs a value", "model.gguf", "-o", self.out, "--context=")

    def test_two_models_are_wrong_usage(self):
        self.assert_fails(2, "'b.gguf'", "a.gguf", "b.gguf", "-o", self.out)

    def test_unknown_quantization_lists_the_known(self):
        self.assert_fails(2, "keep, q4, q8, f16, f32", "m.gguf", "-o", self.out, "--quantize", "q5")

    def test_group_lists_the_sizes_and_needs_a_kind_that_makes_groups(self):
        for value in ("0", "48", "512", "-32", "many"):
            self.assert_fails(2, f"'--group': '{value}' is not a number of columns that may share a scale, expected 32, 64, 128 or 256",
                              "m.gguf", "-o", self.out, "--quantize", "q8", "--group", value)
        for kind in ("", "keep", "f16", "f32"):
            for value in ("32", "128"):
                self.assert_fails(2, f"'--group' is for '--quantize q4' and '--quantize q8', found '{kind or 'keep'}'",
                                  "m.gguf", "-o", self.out, "--group", value, *(("--quantize", kind) if kind else ()))

    def test_unknown_target_and_level_list_the_known(self):
        self.assert_fails(2, "known: cpu, vulkan, cuda, hip", "m.gguf", "-o", self.out, "--target", "tpu")
        self.assert_fails(2, "v2, v3, v4-vnni", "m.gguf", "-o", self.out, "--target", "cpu:v9")
        self.assert_fails(2, "''", "m.gguf", "-o", self.out, "--target", "cpu:")
        self.assert_fails(2, "'cuda:sm_99', known: all, sm_75, sm_80, cubin-sm_75, ", "m.gguf", "-o", self.out, "--target", "cuda:sm_99")
        self.assert_fails(2, "'hip:gfx1', known: all, gfx906, gfx90a", "m.gguf", "-o", self.out, "--target", "hip:gfx1")
        self.assert_fails(2, "unknown target 'gfx90a'", "m.gguf", "-o", self.out, "--target", "hip,gfx90a")

    def test_emit_lists_the_known(self):
        self.assert_fails(2, "bundle, object, plan, mlir", "m.gguf", "-o", self.out, "--emit", "elf")

    def test_object_needs_a_name_and_a_known_processor(self):
        self.assert_fails(2, "NAME.o", "m.gguf", "-o", self.out, "--emit", "object")
        self.assert_fails(2, "x86-64, aarch64, arm", "m.gguf", "-o", "m.o", "--emit", "object", "--object-for", "vax")
        self.assert_fails(2, "--emit object", "m.gguf", "-o", self.out, "--object-for", "arm")
        self.assert_fails(2, "standard output", "m.gguf", "-o", "-", "--emit", "object")

    def test_unknown_pass_lists_the_passes(self):
        self.assert_fails(2, "llmir-", "m.gguf", "-o", self.out, "--dump-after", "no-such-pass")

    def test_context_must_be_a_count(self):
        for value in ("0", "-1", "many", "99999999999"):
            self.assert_fails(2, "--context", "m.gguf", "-o", self.out, "--context", value)

    def test_help_and_version_succeed(self):
        for option, expected in (("--help", "--quantize"), ("-h", "--target"), ("--version", "llmirc 0.")):
            result = run(option)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn(expected, result.stdout)


class BadInput(TestCase):
    def test_missing_file_is_named(self):
        self.assert_fails(1, "absent.gguf", self.folder / "absent.gguf", "-o", self.out)

    def test_empty_file_fails(self):
        self.assert_fails(1, "empty.gguf", self.write("empty.gguf", b""), "-o", self.out)

    def test_folder_fails(self):
        self.assert_fails(1, "", self.folder, "-o", self.out)

    def test_other_format_fails(self):
        path = self.write("text.gguf", b"This is a text, not a model. " * 100)
        self.assert_fails(1, "text.gguf", path, "-o", self.out)

    def test_header_without_content_fails(self):
        path = self.write("short.gguf", b"GGUF" + struct.pack("<IQQ", 3, 10, 10))
        self.assert_fails(1, "short.gguf", path, "-o", self.out)


class Compile(TestCase):
    def setUp(self):
        super().setUp()
        if MODEL is None:
            self.skipTest("no model given")

    def compile(self, *arguments, out=None):
        result = run(MODEL, "-o", out or self.out, *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def test_truncated_model_fails_and_leaves_nothing(self):
        data = MODEL.read_bytes()
        for share in (0.1, 0.5, 0.99):
            path = self.write("cut.gguf", data[: int(len(data) * share)])
            self.assert_fails(1, "cut.gguf", path, "-o", self.out)

    def test_failure_keeps_the_old_bundle(self):
        self.out.write_bytes(b"old")
        self.assert_fails(1, "", self.write("bad.gguf", b"GGUF"), "-o", self.out)
        self.assertEqual(self.out.read_bytes(), b"old")

    def test_model_as_output_fails_and_keeps_it(self):
        path = self.write("own.gguf", MODEL.read_bytes())
        link = self.folder / "link.gguf"
        link.symlink_to(path)
        self.assert_fails(1, "model itself", path, "-o", link)
        self.assertEqual(path.read_bytes(), MODEL.read_bytes())

    def test_unwritable_output_is_named_before_code_is_made(self):
        start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        self.assert_fails(1, "nowhere", MODEL, "-o", self.folder / "nowhere" / "out.llmir")
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start, 2.0)  # code takes longer

    def test_full_disk_fails_and_leaves_nothing(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        self.assert_fails(1, "/dev/full", MODEL, "--emit", "plan", "-o", "/dev/full")

    def test_two_runs_give_equal_bytes(self):
        other = self.folder / "other.llmir"
        self.compile("--target", "cpu:v2,v3")
        self.compile("--target", "cpu:v3,v2,v3", out=other)  # order and repetition change nothing
        self.assertEqual(self.out.read_bytes(), other.read_bytes())

    def test_summary_names_sections_and_quiet_is_silent(self):
        result = self.compile("--target", "cpu:v3")
        for word in ("bits per weight", "KV pages", "arena", "v3", "WEIGHTS", "PLAN"):
            self.assertIn(word, result.stderr)
        result = self.compile("--target", "cpu:none", "--quiet")
        self.assertEqual((result.stdout, result.stderr), ("", ""))

    def test_levels_select_code_sections(self):
        rows = [("cpu:none", []), ("cpu:v3", [0x103]), ("cpu", [0x102, 0x103, 0x105])]
        if "riscv64: " in run("--help").stdout:  # not a build for the host's processor alone
            rows.append(("cpu:riscv64,armv7-neon,aarch64-i8mm", [0x203, 0x301, 0x401]))
        for target, levels in rows:
            self.compile("--target", target, "--quiet")
            self.assertEqual(section_levels(self.out.read_bytes()), levels)

    def test_levels_of_gpus_select_code_sections(self):
        for target, levels in (("vulkan:dot,base", [0x101, 0x102]), ("cuda:sm_80,hip:gfx90a,gfx1201", [80, 0x90a00, 0x120100])):
            self.compile("--target", target, "--quiet")
            self.assertEqual(section_levels(self.out.read_bytes()), levels)

    def test_vulkan_code_is_valid(self):
        self.compile("--target", "vulkan,cpu:v3", "--quiet")
        self.assertEqual(section_levels(self.out.read_bytes()), [0x101, 0x102, 0x103, 0x103])
        for _, module in gpu_modules(self.out.read_bytes(), 2):
            self.assertEqual(atomic_semantics(module), {0})  # Vulkan wants a storage class beside anything else
        if not shutil.which("spirv-val"):
            self.skipTest("no spirv-val")
        for name, module in gpu_modules(self.out.read_bytes(), 2):
            path = self.folder / f"{name}.spv"
            path.write_bytes(module)
            result = subprocess.run(["spirv-val", "--target-env", "vulkan1.1", path], capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, result.stderr)

    def test_vulkan_code_with_cooperative_matrices(self):
        """Only by name; the words are looked at, because old validators do not know the extension."""
        shapes = {0x200: (8, 8, 8), 0x300: (16, 16, 16), 0x400: (16, 16, 32), 0x500: (8, 16, 32)}
        names = ",".join("matrix-" + "x".join(map(str, shape)) for shape in shapes.values())
        self.compile("--target", f"vulkan:dot,{names}", "--quiet")
        modules = dict(gpu_modules(self.out.read_bytes(), 2))
        self.assertEqual(sorted(modules), [0x102, *shapes])
        self.assertNotIn(OP_MATRIX_MULTIPLY, {opcode for opcode, _ in instructions(modules.pop(0x102))})
        for level, module in modules.items():
            with self.subTest(shape=shapes[level]):
                self.check_matrices(module, *shapes[level])

    def check_matrices(self, module, rows, tokens, columns):
        found = list(instructions(module))
        self.assertEqual(struct.unpack_from("<I", module, 4), (0x10300,))  # what Vulkan 1.1 takes
        self.assertIn((OP_MEMORY_MODEL, (0, 3)), found)  # Vulkan's
        capabilities = {operands[0] for opcode, operands in found if opcode == OP_CAPABILITY}
        self.assertLessEqual({6022, 5345, 5346}, capabilities)  # CooperativeMatrixKHR, VulkanMemoryModel, ...DeviceScope
        numbers = {operands[1]: operands[2] for opcode, operands in found if opcode == OP_CONSTANT}
        # Component type, then scope, rows, columns and use as numbers.
        types = {tuple(numbers[i] for i in operands[2:]) for opcode, operands in found if opcode == OP_MATRIX_TYPE}
        self.assertEqual(types, {(3, rows, columns, 0), (3, columns, tokens, 1), (3, rows, tokens, 2)})
        signs = {operands[5:] for opcode, operands in found if opcode == OP_MATRIX_MULTIPLY}
        self.assertEqual(signs, {(0xf,)})  # a, b, c and the result
        # Release, acquire, workgroup memory, available, visible.
        self.assertEqual({numbers[operands[2]] for opcode, operands in found if opcode == OP_BARRIER}, {0x6108})
        path = self.folder / "matrix.spv"
        path.write_bytes(module)
        if shutil.which("spirv-val"):
            result = subprocess.run(["spirv-val", "--target-env", "vulkan1.1", path], capture_output=True, text=True, check=False)
            if "Invalid capability operand: 6022" not in result.stderr:
                self.assertEqual(result.returncode, 0, result.stderr)

    def test_cuda_code_assembles_without_spills(self):
        self.compile("--target", "cuda", "--quiet")
        modules = dict(gpu_modules(self.out.read_bytes(), 3))
        self.assertEqual(sorted(modules), [75, 80])
        for level, chips in ((75, ("sm_75", "sm_80", "sm_90")), (80, ("sm_80", "sm_87", "sm_90", "sm_100", "sm_120"))):
            text = modules[level].rstrip(b"\0").decode()
            self.assertEqual("mma.sync.aligned.m16n8k32" in text, level == 80)
            self.check_ptx(text, level, chips)

    def test_code_for_large_groups_is_as_small_and_does_not_spill(self):
        sizes = {}
        for group in (32, 256):
            self.compile("--target", "vulkan:base", "--quantize", "q8", "--group", str(group), "--quiet")
            sizes[group] = len(dict(gpu_modules(self.out.read_bytes(), 2))[0x101])
        self.assertLess(sizes[256], 1.2 * sizes[32])
        for quantize, group in (("q8", 64), ("q8", 256), ("q4", 128), ("q4", 256)):
            with self.subTest(quantize=quantize, group=group):
                self.compile("--target", "cuda:sm_80", "--quantize", quantize, "--group", str(group), "--quiet")
                text = dict(gpu_modules(self.out.read_bytes(), 3))[80].rstrip(b"\0").decode()
                self.check_ptx(text, 80, ("sm_89", "sm_90"))

    def ptxas(self):
        folders = (os.environ["PATH"], os.path.join(os.environ.get("CUDA_HOME", "/nonexistent"), "bin"), "/usr/local/cuda/bin")
        return shutil.which("ptxas", path=os.pathsep.join(folders)) or self.skipTest("no ptxas")

    def test_cubins_are_for_their_chips(self):
        self.ptxas()
        target = ("--target", "cuda:cubin-sm_90,cubin-sm_75")
        summary = self.compile(*target).stderr
        modules = dict(gpu_modules(self.out.read_bytes(), 3))
        self.assertEqual(sorted(modules), [1 << 31 | 75, 1 << 31 | 90])
        for level, module in modules.items():
            chip = level & 0xff
            self.assertRegex(summary, rf"cuda-cubin-sm_{chip} +\d")
            self.assertEqual(module[:6], b"\x7fELF\2\1")
            self.assertEqual(struct.unpack_from("<H", module, 18), (190,))  # EM_CUDA
            flags = struct.unpack_from("<I", module, 48)[0]
            self.assertEqual(flags >> (8 if module[8] >= 8 else 0) & 0xff, chip)
            frames = list(cubin_frames(module))
            self.assertGreater(len(frames), 10)
            self.assertEqual(set(frames), {0})  # where spilled registers would go
        other = self.folder / "other.llmir"
        self.compile(*target, out=other)
        self.assertEqual(self.out.read_bytes(), other.read_bytes())

    def test_cubins_need_ptxas(self):
        target = (MODEL, "-o", self.out, "--target", "cuda:cubin-sm_90", "--ptxas")
        self.assert_fails(1, "'/nonexistent' is no program; PTX, as in cuda:sm_80, needs no ptxas", *target, "/nonexistent")
        self.compile("--target", "cuda:sm_80", "--quiet", "--ptxas", "/nonexistent")
        self.out.unlink()
        if not os.path.exists("/usr/local/cuda/bin/ptxas"):
            with unittest.mock.patch.dict(os.environ, {"PATH": "/nonexistent", "CUDA_HOME": "/nowhere"}):
                self.assert_fails(1, "not in PATH, /nowhere/bin, /usr/local/cuda/bin (option '--ptxas FILE')", *target[:-1])

    def test_what_ptxas_says_is_told_and_nothing_is_left(self):
        script = self.write("ptxas", b"#!/bin/sh\necho 'fatal : no sm_90'\necho line 2 >&2\nexit 3\n")
        script.chmod(0o755)
        with unittest.mock.patch.dict(os.environ, {"TMPDIR": str(self.folder)}):  # assert_fails looks what is there
            self.assert_fails(1, f"'{script} -O3 -arch=sm_90' failed (3): fatal : no sm_90 / line 2", MODEL, "-o", self.out, "--target",
                              "cuda:cubin-sm_90", "--ptxas", script)

    def check_ptx(self, text, level, chips):
        self.assertIn(f".target sm_{level}", text)
        # Each function takes 7 bindings, then 24 words; tests/support/fake_driver looks at where they lie.
        for name, parameters in re.findall(r"\.visible \.entry (f\d+)\((.*?)\)", text, re.S):
            words = parameters.count(".param .u32")
            self.assertEqual(words, 24, name)
            self.assertEqual(parameters.count(".param .u64"), 7, name)
        ptxas = self.ptxas()
        path = self.folder / "kernels.ptx"
        path.write_text(text)
        for chip in chips:
            result = subprocess.run([ptxas, "-v", f"-arch={chip}", path, "-o", "/dev/null"], capture_output=True, text=True,
                                    check=False)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(set(re.findall(r"(\d+) bytes spill stores", result.stderr)), {"0"}, chip)

    def test_hip_code_has_the_parameters_and_the_instructions(self):
        self.compile("--target", "hip", "--quiet")
        modules = dict(gpu_modules(self.out.read_bytes(), 4))
        self.assertEqual(sorted(modules), [chip << 8 for chip in (0x906, 0x90a, 0x942, 0x1030, 0x1100, 0x1201)])
        readelf, objdump = shutil.which("llvm-readelf-19"), shutil.which("llvm-objdump-19")
        if not readelf or not objdump:
            self.skipTest("no llvm-readelf-19, llvm-objdump-19")
        wanted = [8 * i for i in range(7)] + [56 + 4 * i for i in range(24)]
        for level, module in modules.items():
            path = self.folder / f"gfx{level >> 8:x}.hsaco"
            path.write_bytes(module)
            notes = subprocess.run([readelf, "--notes", path], capture_output=True, text=True, check=True).stdout
            self.assertIn(f"amdgcn-amd-amdhsa--gfx{level >> 8:x}", notes)
            kernels = notes.split("- .agpr_count:" if "- .agpr_count:" in notes else "- .args:")[1:]
            self.assertTrue(kernels)
            for kernel in kernels:
                offsets = [int(offset) for offset in re.findall(r"\.offset: +(\d+)", kernel)]
                self.assertEqual(offsets[:31], wanted)
                self.assertRegex(kernel, r"\.vgpr_spill_count: 0\b")
            text = subprocess.run([objdump, "-d", path], capture_output=True, text=True, check=True).stdout
            self.assertRegex(text, r"v_dot4c?_i32_i(8|u8)", f"gfx{level >> 8:x}")
            tiles = {0x90a: {"v_mfma_i32_16x16x16i8"}, 0x942: {"v_mfma_i32_16x16x32_i8"},
                     0x1100: {"v_wmma_i32_16x16x16_iu8"}, 0x1201: {"v_wmma_i32_16x16x16_iu8"}}.get(level >> 8, set())
            self.assertEqual(set(re.findall(r"v_w?mf?ma\w+", text)), tiles, f"gfx{level >> 8:x}")

    def test_plan_and_mlir_are_text(self):
        for emit, fragment in (("plan", "llmir_exec."), ("mlir", "llmir.")):
            result = run(MODEL, "--emit", emit)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn(fragment, result.stdout)

    def test_dump_after_prints_the_module(self):
        result = self.compile("--dump-after", "build", "--target", "cpu:none", "--quiet")
        self.assertIn("llmir.", result.stderr)

    def test_unknown_chat_template_fails(self):
        self.assert_fails(1, "no-such-template", MODEL, "-o", self.out, "--chat-template", "no-such-template")


OP_MEMORY_MODEL, OP_CAPABILITY, OP_CONSTANT, OP_BARRIER, OP_ATOMIC_AND, OP_ATOMIC_OR = 14, 17, 43, 224, 240, 241
OP_MATRIX_TYPE, OP_MATRIX_MULTIPLY = 4456, 4459


def instructions(module):
    """(opcode, operands) of each instruction of a SPIR-V module."""
    words, at = struct.unpack(f"<{len(module) // 4}I", module), 5
    while at < len(words):
        count, opcode = divmod(words[at], 1 << 16)
        yield opcode, words[at + 1:at + count]
        at += count


def atomic_semantics(module):
    """Memory semantics of OpAtomicAnd and OpAtomicOr of a SPIR-V module."""
    constants, found = {}, set()
    for opcode, operands in instructions(module):
        if opcode == OP_CONSTANT:
            constants[operands[1]] = operands[2]
        elif opcode in (OP_ATOMIC_AND, OP_ATOMIC_OR):
            found.add(operands[4])
    return {constants[value] for value in found}


def section_levels(bundle):
    """Levels of the CODE sections, read from the section table of llmir_bundle.h."""
    (count,) = struct.unpack_from("<I", bundle, 20)
    (table,) = struct.unpack_from("<Q", bundle, 32)
    sections = (struct.unpack_from("<III", bundle, table + 64 * i) for i in range(count))
    return sorted(level for kind, _, level in sections if kind == 6)


# LLMIR_LZMA_LC, _LP and _PB of llmir_bundle.h.
LZMA = {"id": lzma.FILTER_LZMA1, "dict_size": 64 << 20, "lc": 0, "lp": 2, "pb": 2}


def gpu_modules(bundle, wanted):
    """Level and module of each CODE section of a GPU target: llmir_code_record_t, llmir_gpu_image_t."""
    (count,) = struct.unpack_from("<I", bundle, 20)
    (table,) = struct.unpack_from("<Q", bundle, 32)
    for i in range(count):
        kind, target, level, _, offset, _ = struct.unpack_from("<IIIIQQ", bundle, table + 64 * i)
        if kind == 6 and target == wanted:
            image = offset + struct.unpack_from("<Q", bundle, offset + 16)[0]
            start, size, _, packing, module_bytes = struct.unpack_from("<IIIII", bundle, image + 12)
            module = lzma.decompress(bundle[image + start:image + start + size], format=lzma.FORMAT_RAW, filters=[LZMA])
            if packing != 1 or len(module) != module_bytes:
                raise AssertionError(f"{level}: packing {packing}, {module_bytes} bytes said, {len(module)} found")
            yield level, module


def cubin_frames(cubin):
    """Bytes of each kernel's frame: EIATTR_FRAME_SIZE in the section .nv.info."""
    (table,), (count, names) = struct.unpack_from("<Q", cubin, 40), struct.unpack_from("<HH", cubin, 60)
    sections = [struct.unpack_from("<IIQQQQ", cubin, table + 64 * i) for i in range(count)]
    for section in sections:
        start, at, end = sections[names][4] + section[0], section[4], section[4] + section[5]
        while cubin[start:start + 9] == b".nv.info\0" and at < end:
            form, attribute, size, _, frame = struct.unpack_from("<BBHII", cubin, at)
            if attribute == 0x11:
                yield frame
            at += 4 + (size if form == 4 else 0)


def make_model(script, path):
    made = subprocess.run([sys.executable, script, path], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        print(f"no model: {made.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    return path if made.returncode == 0 else None


if __name__ == "__main__":
    LLMIRC = sys.argv[1]
    with tempfile.TemporaryDirectory() as temporary:
        if len(sys.argv) > 2:
            MODEL = make_model(sys.argv[2], pathlib.Path(temporary) / "model.gguf")
        unittest.main(argv=sys.argv[:1])
