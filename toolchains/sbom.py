#!/usr/bin/env python3
"""Writes what the build is made of as SPDX 2.3: the library with every source and header in it, the compiler and the programs
where they are built, and what each depends on.

    sbom.py MANIFEST OUT.spdx.json      MANIFEST: JSON from LlmirSbom.cmake

The same sources and versions give the same bytes. The time in it is SOURCE_DATE_EPOCH, or 0 without one."""

import datetime
import hashlib
import json
import os
import pathlib
import re
import sys

import single_file

DEPENDENCIES = pathlib.Path(__file__).with_name("dependencies.json")
# Who depends on what of a scope, and how SPDX calls it.
SCOPES = {
    "runtime": ("llmir", "DEPENDS_ON"),
    "compiler": ("llmirc", "DEPENDS_ON"),
    "compiler-run": ("llmirc", "RUNTIME_DEPENDENCY_OF"),
    "programs": ("llmir-programs", "OPTIONAL_DEPENDENCY_OF"),
    "tests": ("llmir", "TEST_DEPENDENCY_OF"),
}


def identifier(kind, name):
    return f"SPDXRef-{kind}-{re.sub(r'[^A-Za-z0-9.-]', '-', name)}"


def library_files(manifest):
    """Sources of the library and all headers that they include, as paths below the root."""
    tree = single_file.Tree({**manifest, "generated": {}})
    files = set(manifest["sources"])
    for path in manifest["sources"]:
        files |= tree.headers_of(path)
    return sorted(files)


def file_entry(root, path):
    data = (root / path).read_bytes()
    return {
        "SPDXID": identifier("File", path),
        "fileName": f"./{path}",
        "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(data).hexdigest()},
                      {"algorithm": "SHA256", "checksumValue": hashlib.sha256(data).hexdigest()}],
        "fileTypes": ["SOURCE"],
        "licenseConcluded": "Apache-2.0",
        "copyrightText": "NOASSERTION",
    }


def package(name, version, license_name, **more):
    entry = {
        "SPDXID": identifier("Package", name),
        "name": name,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": license_name,
        "licenseDeclared": license_name,
        "copyrightText": "NOASSERTION",
        **more,
    }
    if version:
        entry["versionInfo"] = version
    return entry


def relationship(element, kind, related):
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": related}


def make(manifest):
    version = manifest["version"]
    root = pathlib.Path(manifest["root"])
    files = [file_entry(root, path) for path in library_files(manifest)]
    sums = sorted(entry["checksums"][0]["checksumValue"] for entry in files)
    verification = hashlib.sha1("".join(sums).encode()).hexdigest()
    packages = [package("llmir", version, "Apache-2.0", filesAnalyzed=True, primaryPackagePurpose="LIBRARY",
                        packageVerificationCode={"packageVerificationCodeValue": verification},
                        hasFiles=[entry["SPDXID"] for entry in files], licenseInfoFromFiles=["Apache-2.0"])]
    relationships = [relationship("SPDXRef-DOCUMENT", "DESCRIBES", packages[0]["SPDXID"])]
    built = {"llmir"}
    for name in ("llmirc", "llmir-programs"):
        if name in manifest["built"]:
            built.add(name)
            packages.append(package(name, version, "Apache-2.0", primaryPackagePurpose="APPLICATION"))
            relationships.append(relationship("SPDXRef-DOCUMENT", "DESCRIBES", packages[-1]["SPDXID"]))
    if "llmir-programs" in built:
        relationships.append(relationship(packages[-1]["SPDXID"], "STATIC_LINK", packages[0]["SPDXID"]))
    for dependency in json.loads(DEPENDENCIES.read_text(encoding="utf-8")):
        user, kind = SCOPES[dependency["scope"]]
        if user not in built or (dependency["scope"] == "tests" and "tests" not in manifest["built"]):
            continue
        more = {"comment": dependency["why"]}
        found = manifest["versions"].get(dependency["name"], "")
        if "purl" in dependency:
            locator = dependency["purl"] + (f"@{found}" if found else "")
            more["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}]
        packages.append(package(dependency["name"], found, dependency["license"], **more))
        ends = (identifier("Package", user), packages[-1]["SPDXID"])
        relationships.append(relationship(ends[0], kind, ends[1]) if kind == "DEPENDS_ON" else relationship(ends[1], kind, ends[0]))
    created = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"llmir-{version}",
        "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": [f"Tool: llmir-sbom-{version}"]},
        "packages": packages,
        "files": files,
        "relationships": relationships,
    }
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["documentNamespace"] = f"https://spdx.org/spdxdocs/llmir-{version}-{digest[:32]}"
    return document


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: sbom.py MANIFEST OUT.spdx.json")
    manifest = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    pathlib.Path(sys.argv[2]).write_text(json.dumps(make(manifest), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
