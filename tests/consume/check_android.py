#!/usr/bin/env python3
"""The toolchain file of Android hands what it is told to the NDK's, and says so where there is no NDK.

    check_android.py SOURCE WORK CMAKE      WORK is made anew; the NDK is a stand-in that builds for this machine"""

import os
import pathlib
import shutil
import subprocess
import sys

source, work, cmake = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
STAND_IN = 'message(STATUS "stand-in for ${ANDROID_ABI}, ${ANDROID_PLATFORM}")\n'


def configure(build, *options, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANDROID_")} | variables
    command = [cmake, "-S", source, "-B", work / build, f"-DCMAKE_TOOLCHAIN_FILE={source}/toolchains/aarch64-android-ndk.cmake",
               "-DLLMIR_BUILD_TESTS=OFF", "-DLLMIR_BUILD_EXAMPLES=OFF", *options]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=environment)
    return result.returncode, " ".join((result.stdout + result.stderr).split())


def check(is_right, output):
    if not is_right:
        sys.exit(output)


shutil.rmtree(work, ignore_errors=True)
ndk = work / "ndk"
(ndk / "build/cmake").mkdir(parents=True)
(ndk / "build/cmake/android.toolchain.cmake").write_text(STAND_IN)

code, output = configure("none")
check(code != 0 and "ANDROID_NDK_HOME: '' is not an Android NDK, expected build/cmake/android.toolchain.cmake in it" in output, output)
code, output = configure("wrong", ANDROID_NDK_HOME=str(work))
check(code != 0 and f"'{work}' is not an Android NDK" in output, output)
code, output = configure("default", ANDROID_NDK_HOME=str(ndk))
check(code == 0 and "stand-in for arm64-v8a, android-24" in output, output)
code, output = configure("other", f"-DANDROID_NDK_HOME={ndk}", "-DANDROID_ABI=armeabi-v7a", "-DANDROID_PLATFORM=android-26")
check(code == 0 and "stand-in for armeabi-v7a, android-26" in output and "arm64" not in output, output)
