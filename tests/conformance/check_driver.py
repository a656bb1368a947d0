#!/usr/bin/env python3
"""Whole models on the host code of CUDA, HIP or Vulkan, with the stand-in of tests/support/fake_driver or fake_vulkan: the tokens of the
processor, and what becomes of machines without a driver or a device, with too old ones, and with devices that compute wrongly.

    check_driver.py cuda|hip|vulkan [TEST...]"""

import os
import re
import shutil
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gpu_models import BIN, WORK, SameTokens, chat, make_bundle, ptxas, run, with_other_module  # noqa: E402

KERNELS = WORK / "kernels"
LIBRARY = os.environ["FAKE_DRIVER"]
RANGE = 3 << 19  # maxStorageBufferRange of a test: a layer of the tiny model's cache takes 2^20, all of it twice that
DRIVER = {"LD_LIBRARY_PATH": os.path.dirname(LIBRARY), "FAKE_DRIVER_KERNELS": str(KERNELS)}
TARGET = sys.argv.pop(1)
# Environments of machines that cannot be used, and what is said of each: a device too old, a driver too old, one that fails when
# the code is loaded (init, version, count, those of the device, context, push, stream, two events, staging, pop, twice push,
# memory and pop, push come before) or, Vulkan, when the device is opened.
REFUSED = {
    "cuda": (({"FAKE_DRIVER_CHIP": "61"}, r"cuda: device 'Stand-in 0' has version 6\.1, expected at least 7\.5"),
             ({"FAKE_DRIVER_VERSION": "9020"}, r"cuda: the driver's version is 9020, expected at least 11040 \(CUDA 11\.4\)"),
             ({"FAKE_DRIVER_FAIL_CODE": "222", "FAKE_DRIVER_FAIL_AT": "23"}, r"cuda: loading the bundle's code")),
    "hip": (({"FAKE_DRIVER_CHIP": "0x803"}, r".*no code for this device"),
            ({"FAKE_DRIVER_VERSION": "40500000"}, r"hip: the driver's version is 40500000, expected at least 50000000 \(ROCm 5\.0\)"),
            ({"FAKE_DRIVER_FAIL_CODE": "222", "FAKE_DRIVER_FAIL_AT": "22"}, r"hip: loading the bundle's code")),
    "vulkan": (({"FAKE_DRIVER_VERSION": "0x400000"}, r"vulkan: none of 1 devices fits \(Vulkan 1\.1"),
               ({"FAKE_DRIVER_BUFFERS": "4"},
                r"vulkan: device 'Stand-in 0': maxPerStageDescriptorStorageBuffers is 4, expected at least 7"),
               ({"FAKE_DRIVER_FAIL_CODE": "-3", "FAKE_DRIVER_FAIL_AT": "5"}, r"vulkan: opening the device")),
}[TARGET]
TOO_LITTLE = rf"pool: .* device '{TARGET}: Stand-in 0' has 65536 at most"
NO_DEVICE = "none of 0 devices fits" if TARGET == "vulkan" else "the driver finds no device"


# What the stand-in's chip runs, and all that multiplies tiles of bytes by an instruction: environment, and what is said of the code.
CODE = {"hip": "hip:gfx1100"}.get(TARGET, TARGET)
MATRICES = ("16x16x16", "16x16x32", "8x16x32")  # from 1 on in LLMIR_VULKAN_MATRICES
TILES = {"cuda": ("cuda", tuple(({"FAKE_DRIVER_CHIP": chip}, said)
                                for chip, said in ((75, "PTX for 7.5"), (86, "PTX for 8.0"), (90, "PTX for 8.0")))),
         "hip": ("hip:gfx90a,gfx942,gfx1100,gfx1201",
                 tuple(({"FAKE_DRIVER_CHIP": f"0x{chip}"}, f"HSACO for gfx{chip}") for chip in ("90a", "942", "1100", "1201"))),
         # A device that has the shape of another one's code, or no matrices, runs that without.
         "vulkan": ("vulkan:dot," + ",".join(f"matrix-{shape}" for shape in MATRICES),
                    tuple(({"FAKE_DRIVER_MATRIX": number}, f"SPIR-V with matrices {shape}")
                          for number, shape in enumerate(MATRICES, 1)) +
                    (({"FAKE_DRIVER_MATRIX": 0}, "SPIR-V with dot products"), ({}, "SPIR-V with dot products"),
                     ({"FAKE_DRIVER_MATRIX": 1, "FAKE_DRIVER_LEVEL": 0}, "no code for this device")))}


def make_gpu_bundle(name, *options, code=CODE, **more):
    bundle = make_bundle(name, *options, target=f"cpu:none,{code}", **more)
    made = run(os.environ["LLMIR_HOST_KERNELS"], bundle, KERNELS)
    assert made.returncode == 0, made.stderr
    return bundle


def on_gpu(bundle, prompt="Once upon a time", *more, device=TARGET, **options):
    return chat(bundle, device, prompt, *more, environment=dict(DRIVER, **{key: str(value) for key, value in options.items()}))


class Tokens(SameTokens, unittest.TestCase):
    device_name = f"{TARGET}: Stand-in 0"

    def bundle(self):
        return BUNDLE

    def made(self, name, *options, **more):
        return make_gpu_bundle(name, *options, **more)

    def there(self, bundle, prompt, *more):
        return on_gpu(bundle, prompt, *more)

    def test_instructions_for_tiles_give_the_same(self):
        code, chips = TILES[TARGET]
        bundle = make_gpu_bundle("tiles", code=code)
        long = "once upon a time there was " * 10
        expected = chat(bundle, "cpu", long).stdout
        for environment, said in chips:
            with self.subTest(**environment):
                found = on_gpu(bundle, long, **environment)
                self.assertIn(said, found.stderr)
                self.assertNotIn("fake driver:", found.stderr)
                if "no code" not in said:
                    self.assertEqual(found.stdout, expected)


class Refusals:
    """`auto` runs on the processor and says why; asking for the device is an error with the same reason."""

    def assert_refused(self, reason, environment, bundle=None):
        bundle = bundle or BUNDLE
        found = chat(bundle, "auto", environment=environment)
        self.assertEqual(found.returncode, 0, found.stderr)
        self.assertRegex(found.stderr, f"{TARGET} is not used: " + reason)
        self.assertNotIn("fake driver:", found.stderr)
        self.assertEqual(found.stdout, chat(bundle, "cpu").stdout)
        asked = chat(bundle, TARGET, environment=environment)
        self.assertEqual(asked.returncode, 1)
        self.assertRegex(asked.stderr, reason)


class Machines(Refusals, unittest.TestCase):
    def test_auto_takes_a_good_device(self):
        self.assertIn(f"{TARGET}: Stand-in 0", on_gpu(BUNDLE, device="auto").stderr)

    def test_of_several_devices_one_is_chosen_by_name(self):
        self.assertIn(f"{TARGET}: Stand-in 2", on_gpu(BUNDLE, device="Stand-in 2", FAKE_DRIVER_DEVICES=3).stderr)
        missed = on_gpu(BUNDLE, device="Stand-in 7", FAKE_DRIVER_DEVICES=3)
        self.assertEqual(missed.returncode, 1)
        self.assertIn("Stand-in 7", missed.stderr)

    @unittest.skipIf(TARGET == "vulkan", "its loader may be there: check_vulkan.py")
    def test_no_driver(self):
        self.assert_refused(TARGET + r": this machine has no driver", {"LD_LIBRARY_PATH": "/nonexistent"})

    def test_driver_without_device(self):
        self.assert_refused(f"{TARGET}: {NO_DEVICE}", dict(DRIVER, FAKE_DRIVER_DEVICES="0"))

    def test_too_old_or_refusing(self):
        for environment, reason in REFUSED:
            with self.subTest(reason=reason):
                self.assert_refused(reason, dict(DRIVER, **environment))

    def test_device_that_computes_wrongly(self):
        self.assert_refused(TARGET + r": Stand-in 0: the self-test failed", dict(DRIVER, FAKE_DRIVER_WRONG="1"))

    def test_too_little_memory(self):
        environment = dict(DRIVER, FAKE_DRIVER_MEMORY="65536")
        found = chat(BUNDLE, "auto", environment=environment)
        self.assertRegex(found.stderr, f"{TARGET} is not used: {TOO_LITTLE}")
        self.assertEqual(found.stdout, chat(BUNDLE, "cpu").stdout)
        self.assertEqual(chat(BUNDLE, TARGET, environment=environment).returncode, 1)

    def test_memory_for_some_layers(self):
        """In auto, as many layers as fit the device; asked for by name alone, it must hold all of them."""
        bundle = make_gpu_bundle("gemma3", arch="gemma3", kind="Q8_0")
        expected = chat(bundle, "cpu", "Once upon a time", "--context", 64).stdout
        layers = []
        for mib in (1, 2, 3, 64):
            environment = dict(DRIVER, FAKE_DRIVER_MEMORY=str(mib << 20))
            found = chat(bundle, "auto", "Once upon a time", "--context", 64, environment=environment)
            self.assertEqual(found.returncode, 0, found.stderr)
            self.assertNotIn("fake driver:", found.stderr)
            self.assertEqual(found.stdout, expected)
            part = re.search(rf"{TARGET}: Stand-in 0 \((\d) of 7 layers\), cpu", found.stderr)
            layers.append(int(part.group(1)) if part else 8 if f"{TARGET}: Stand-in 0, " in found.stderr else 0)
            if part:
                self.assertRegex(found.stderr, rf"{TARGET}: {part.group(1)} of 7 layers: ")
                self.assertEqual(chat(bundle, TARGET, "Once upon a time", "--context", 64, environment=environment).returncode, 1)
        print("layers that fit:", layers, flush=True)
        self.assertEqual(layers, sorted(layers))
        self.assertEqual(layers[-1], 8)  # everything
        self.assertTrue(any(0 < count < 8 for count in layers))

    def test_memory_that_others_use(self):
        """The layers are chosen by what is free, not by what the device has."""
        bundle = make_gpu_bundle("gemma3", arch="gemma3", kind="Q8_0")
        environment = dict(DRIVER, FAKE_DRIVER_MEMORY=str(64 << 20), FAKE_DRIVER_OTHERS=str(61 << 20))
        found = chat(bundle, "auto", "Once upon a time", "--context", 64, environment=environment)
        self.assertEqual(found.returncode, 0, found.stderr)
        self.assertRegex(found.stderr, rf"{TARGET}: [1-6] of 7 layers: .* take \d+ MiB, it has 2\b")
        self.assertEqual(found.stdout, chat(bundle, "cpu", "Once upon a time", "--context", 64).stdout)

    def test_bundle_without_code(self):
        self.assert_refused(r".*no code for this device", DRIVER, make_bundle("plain", target="cpu:none"))


@unittest.skipIf(TARGET != "cuda", "CUDA alone has cubins")
@unittest.skipUnless(ptxas(), "no ptxas")
class Cubins(Refusals, unittest.TestCase):
    """Machine code for some chips, beside PTX for all."""

    SECTION, LEVEL = 3, 1 << 31  # llmir_section_target_t, LLMIR_GPU_LEVEL_CUBIN

    @classmethod
    def setUpClass(cls):
        cls.both = make_gpu_bundle("cubins", code="cuda:sm_75,sm_80,cubin-sm_75,cubin-sm_86")
        cls.alone = make_gpu_bundle("cubin", code="cuda:cubin-sm_86")

    def changed(self, bundle, change):
        return with_other_module(bundle, self.id().split(".")[-1], self.SECTION, self.LEVEL | 86, change)

    def test_the_chip_takes_its_own(self):
        long = "once upon a time there was " * 10
        expected = chat(self.both, "cpu", long).stdout
        for chip, said in ((75, "cubin for 7.5"), (86, "cubin for 8.6"), (80, "PTX for 8.0"), (89, "PTX for 8.0")):
            with self.subTest(chip=chip):
                found = on_gpu(self.both, long, FAKE_DRIVER_CHIP=chip)
                self.assertIn(f"bundle {said},", found.stderr)
                self.assertNotIn("fake driver:", found.stderr)
                self.assertNotIn("is not used", found.stderr)
                self.assertEqual(found.stdout, expected)
        self.assertIn("cuda-cubin-sm_86", run(BIN / "llmir-inspect", self.both).stdout)

    def test_another_chip_takes_none(self):
        self.assert_refused(".*no code for this device", dict(DRIVER, FAKE_DRIVER_CHIP="89"), self.alone)

    def test_damaged_is_refused(self):
        def more_sections(module):
            module[60:62] = b"\xff\xff"

        self.assert_refused(r"GPU image: cubin of \d+ bytes, expected a 64-bit ELF file", dict(DRIVER, FAKE_DRIVER_CHIP="86"),
                            self.changed(self.both, more_sections))

    def test_driver_that_does_not_load_it_compiles(self):
        def of_another_chip(module):
            module[module.index(86, 48, 50)] = 87  # the chip is one byte of e_flags

        reason = r"cuda: loading the bundle's code: .*\(result 209\)"
        found = on_gpu(self.changed(self.both, of_another_chip), FAKE_DRIVER_CHIP=86)
        self.assertIn("bundle PTX for 8.0,", found.stderr)
        self.assertRegex(found.stderr, "cuda: " + reason)
        self.assertNotIn("fake driver:", found.stderr)
        self.assertEqual(found.stdout, chat(self.both, "cpu").stdout)
        self.assert_refused(reason, dict(DRIVER, FAKE_DRIVER_CHIP="86"), self.changed(self.alone, of_another_chip))

    def test_stand_in_compares_parameters(self):
        """The last of a kernel moves by a word."""
        before, after = (struct.pack("<BBHIHH", 4, 0x17, 12, 0, 30, offset) for offset in (148, 152))

        def move(module):
            kernels = KERNELS / hash_name(module)
            at = module.index(before)
            module[at:at + len(after)] = after
            shutil.copy(kernels, KERNELS / hash_name(module))

        found = on_gpu(self.changed(self.alone, move), FAKE_DRIVER_CHIP=86)
        self.assertRegex(found.stderr, r"fake driver: f\d+: parameter 30 has 4 bytes at 152, the host packs 4 bytes at 148")


def hash_name(module):
    """fake_kernel_file_name of fake_kernel.h."""
    value = 0xcbf29ce484222325
    for byte in module:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{value:016x}.so"


@unittest.skipIf(TARGET != "vulkan", "Vulkan alone has such devices")
class Devices(unittest.TestCase):
    """Devices of Vulkan that are not like the stand-in usually is."""

    def test_a_cache_larger_than_a_binding(self):
        expected = chat(BUNDLE, "cpu", "Once upon a time", "--context", 2048)
        found = on_gpu(BUNDLE, "Once upon a time", "--context", 2048, FAKE_DRIVER_RANGE=RANGE)
        self.assertEqual(found.returncode, 0, found.stderr)
        self.assertNotIn("fake driver:", found.stderr)
        self.assertEqual(found.stdout, expected.stdout)

    def test_a_layer_larger_than_a_binding_is_refused(self):
        found = on_gpu(BUNDLE, "Once upon a time", "--context", 2048, "--kv", "f32", FAKE_DRIVER_RANGE=RANGE)
        self.assertEqual(found.returncode, 1)
        self.assertRegex(found.stderr, "2048 positions, .* take 2097152 bytes in one binding, device 'vulkan: Stand-in 0' binds 1572864")

    def test_memory_that_the_host_sees(self):
        found = on_gpu(BUNDLE, FAKE_DRIVER_UNIFIED=1)
        self.assertNotIn("fake driver:", found.stderr)
        self.assertEqual(found.stdout, chat(BUNDLE, "cpu").stdout)

    def test_device_without_packed_products(self):
        found = on_gpu(BUNDLE, FAKE_DRIVER_LEVEL=0)
        self.assertIn("bundle SPIR-V,", found.stderr)
        self.assertNotIn("fake driver:", found.stderr)
        self.assertEqual(found.stdout, chat(BUNDLE, "cpu").stdout)


class Kept(unittest.TestCase):
    """What llmir-chat keeps in the user's cache folder."""

    def test_files(self):
        folder = WORK / "cache"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        expected = chat(BUNDLE, "cpu").stdout
        for _ in range(2):
            found = on_gpu(BUNDLE, XDG_CACHE_HOME=folder)
            self.assertEqual(found.stdout, expected, found.stderr)
            kept = {path.name: path.read_bytes() for path in (folder / "llmir").iterdir()}
        self.assertEqual({name.split("-")[0] for name in kept}, {"selftest"} | ({"vulkan"} if TARGET == "vulkan" else set()))
        for path in (folder / "llmir").iterdir():
            path.write_bytes(b"hostile")
        self.assertEqual(on_gpu(BUNDLE, XDG_CACHE_HOME=folder).stdout, expected)
        self.assertEqual({path.name: path.read_bytes() for path in (folder / "llmir").iterdir()}, kept)


class HostCode(unittest.TestCase):
    def test_failures_loads_and_stops(self):
        environment = dict(os.environ, FAKE_DRIVER_MATRIX="1", **DRIVER)  # its shapes are asked for, among what may fail
        result = subprocess.run([os.environ["TEST_DRIVER"], TARGET, LIBRARY, BUNDLE], env=environment, check=False)
        self.assertEqual(result.returncode, 0)


if __name__ == "__main__":
    WORK.mkdir(parents=True, exist_ok=True)
    BUNDLE = make_gpu_bundle("llama")
    unittest.main()
