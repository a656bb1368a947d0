#!/usr/bin/env python3
"""The SBOM of a build: valid SPDX 2.3 as far as its rules can be checked here, complete, and the same as the documentation.

    check_sbom.py SOURCE SBOM"""

import hashlib
import json
import pathlib
import re
import sys

SOURCE, SBOM = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
DOCUMENT = json.loads(SBOM.read_text())
FACTS = json.loads((SOURCE / "toolchains/dependencies.json").read_text())
PROBLEMS = []


def expect(condition, message):
    if not condition:
        PROBLEMS.append(message)


def check_form():
    for key in ("spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo"):
        expect(DOCUMENT.get(key), f"no {key}")
    expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", DOCUMENT["creationInfo"]["created"]), "creation time")
    identifiers = [DOCUMENT["SPDXID"]] + [entry["SPDXID"] for entry in DOCUMENT["packages"] + DOCUMENT["files"]]
    expect(len(set(identifiers)) == len(identifiers), "an identifier is used twice")
    for name in identifiers:
        expect(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", name), f"identifier {name}")
    for entry in DOCUMENT["relationships"]:
        for end in ("spdxElementId", "relatedSpdxElement"):
            expect(entry[end] in identifiers, f"relationship with the unknown {entry[end]}")
    for entry in DOCUMENT["packages"]:
        expect(entry.get("downloadLocation") and entry.get("name"), f"package {entry}")
        expect(entry["filesAnalyzed"] == ("packageVerificationCode" in entry), f"{entry['name']}: verification code")


def check_files():
    """Every source of the runtime that the library needs, with its hash."""
    sums = []
    for entry in DOCUMENT["files"]:
        data = (SOURCE / entry["fileName"]).read_bytes()
        found = {item["algorithm"]: item["checksumValue"] for item in entry["checksums"]}
        expect(found["SHA256"] == hashlib.sha256(data).hexdigest(), f"{entry['fileName']}: hash")
        sums.append(found["SHA1"])
    library = next(entry for entry in DOCUMENT["packages"] if entry["name"] == "llmir")
    code = hashlib.sha1("".join(sorted(sums)).encode()).hexdigest()
    expect(library["packageVerificationCode"]["packageVerificationCodeValue"] == code, "verification code")
    names = {entry["fileName"] for entry in DOCUMENT["files"]}
    for name in ("./core/include/llmir.h", "./core/session.c", "./targets/cpu/kernels/linear.c", "./quant/half.h"):
        expect(name in names, f"{name} is missing")
    header = (SOURCE / "core/include/llmir.h").read_text()
    version = ".".join(re.findall(r"^#define LLMIR_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header, re.M))
    expect(library["versionInfo"] == version, f"version {library['versionInfo']}, llmir.h says {version}")


def check_documentation():
    """docs/ARCHITECTURE.md names the same dependencies."""
    text = (SOURCE / "docs/ARCHITECTURE.md").read_text().split("## Dependencies")[1]
    rows = "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("|")).lower()
    for fact in FACTS:
        expect(fact["name"].lower() in rows, f"docs/ARCHITECTURE.md does not name {fact['name']}")


check_form()
check_files()
check_documentation()
if PROBLEMS:
    sys.exit("\n".join(PROBLEMS))
print(f"{len(DOCUMENT['packages'])} packages, {len(DOCUMENT['files'])} files")
