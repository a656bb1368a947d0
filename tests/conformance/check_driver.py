#!/usr/bin/env python3
"""Whole models on the host code of CUDA or HIP, with the stand-in driver of tests/support/fake_driver: the tokens of the
processor, and what becomes of machines without a driver or a device, with too old ones, and with devices that compute wrongly.

    check_driver.py cuda|hip [TEST...]"""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gpu_models import WORK, SameTokens, chat, make_bundle, run  # noqa: E402

KERNELS = WORK / "kernels"
LIBRARY = os.environ["FAKE_DRIVER"]
DRIVER = {"LD_LIBRARY_PATH": os.path.dirname(LIBRARY), "FAKE_DRIVER_KERNELS": str(KERNELS)}
TARGET = sys.argv.pop(1)
# (chip and what is said of one that cannot be used, version of a driver and what is said of it)
OLD = {"cuda": (("61", r"cuda: device 'Stand-in 0' has version 6\.1, expected at least 7\.5"),
                ("9020", r"cuda: the driver's version is 9020, expected at least 11040 \(CUDA 11\.4\)")),
       "hip": (("0x803", r".*no code for this device"),
               ("40500000", r"hip: the driver's version is 40500000, expected at least 50000000 \(ROCm 5\.0\)"))}[TARGET]
# Calls until the code is loaded: init, version, count, those of the device, context, push, stream, two events, staging, pop, push.
CALL_OF_LOADING = {"cuda": 17, "hip": 16}[TARGET]


def make_gpu_bundle(name, *options, **more):
    bundle = make_bundle(name, *options, target=f"cpu:none,{TARGET}", **more)
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


class Machines(unittest.TestCase):
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

    def test_auto_takes_a_good_device(self):
        self.assertIn(f"{TARGET}: Stand-in 0", on_gpu(BUNDLE, device="auto").stderr)

    def test_of_several_devices_one_is_chosen_by_name(self):
        self.assertIn(f"{TARGET}: Stand-in 2", on_gpu(BUNDLE, device="Stand-in 2", FAKE_DRIVER_DEVICES=3).stderr)
        missed = on_gpu(BUNDLE, device="Stand-in 7", FAKE_DRIVER_DEVICES=3)
        self.assertEqual(missed.returncode, 1)
        self.assertIn("Stand-in 7", missed.stderr)

    def test_no_driver(self):
        self.assert_refused(TARGET + r": this machine has no driver", {"LD_LIBRARY_PATH": "/nonexistent"})

    def test_driver_without_device(self):
        self.assert_refused(TARGET + r": the driver finds no device", dict(DRIVER, FAKE_DRIVER_DEVICES="0"))

    def test_device_too_old(self):
        self.assert_refused(OLD[0][1], dict(DRIVER, FAKE_DRIVER_CHIP=OLD[0][0]))

    def test_driver_too_old(self):
        self.assert_refused(OLD[1][1], dict(DRIVER, FAKE_DRIVER_VERSION=OLD[1][0]))

    def test_device_that_computes_wrongly(self):
        self.assert_refused(TARGET + r": Stand-in 0: the self-test failed", dict(DRIVER, FAKE_DRIVER_WRONG="1"))

    def test_too_little_memory(self):
        environment = dict(DRIVER, FAKE_DRIVER_MEMORY="65536")
        found = chat(BUNDLE, "auto", environment=environment)
        self.assertRegex(found.stderr, rf"{TARGET} is not used: pool: .* device '{TARGET}: Stand-in 0' has 65536 at most")
        self.assertEqual(found.stdout, chat(BUNDLE, "cpu").stdout)
        self.assertEqual(chat(BUNDLE, TARGET, environment=environment).returncode, 1)

    def test_driver_that_refuses_the_code(self):
        self.assert_refused(TARGET + r": loading the bundle's code",
                            dict(DRIVER, FAKE_DRIVER_FAIL_CODE="222", FAKE_DRIVER_FAIL_AT=str(CALL_OF_LOADING)))

    def test_bundle_without_code(self):
        self.assert_refused(r".*no code for this device", DRIVER, make_bundle("plain", target="cpu:none"))


class HostCode(unittest.TestCase):
    def test_failures_loads_and_stops(self):
        result = subprocess.run([os.environ["TEST_DRIVER"], TARGET, LIBRARY, BUNDLE], env=dict(os.environ, **DRIVER), check=False)
        self.assertEqual(result.returncode, 0)


if __name__ == "__main__":
    WORK.mkdir(parents=True, exist_ok=True)
    BUNDLE = make_gpu_bundle("llama")
    unittest.main()
