"""What the pinned packages are: known weaknesses, licences, and a bill of materials.

python -m tests.supply_chain audit       known advisories for every pin (make audit)
python -m tests.supply_chain sbom FILE   CycloneDX, JSON, of what the service runs on (make sbom)
python -m tests.supply_chain licences
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
# What users install; all else stays with developers.
RUNTIME = ("base", "aws", "gcp", "hcvault", "pkcs11", "otel")
# Permissive, or weak copyleft that leaves a program that only imports the package alone (ADR 29).
ALLOWED = frozenset(
    {
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "LGPL-3.0-only",
        "LGPL-3.0-or-later",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
        "Unlicense",
    }
)
# How packages without an SPDX expression call them.
_NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
# Pinned, and not installed here: for other Pythons or platforms.
_ELSEWHERE = {"async-timeout": {"Apache-2.0"}, "colorama": {"BSD-3-Clause"}}
# Read in the package itself, since its metadata say less: BSD, and MIT for what it was forked from.
_READ = {"qrcode": {"BSD-3-Clause", "MIT"}}
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def pins(names: Sequence[str] = RUNTIME) -> dict[str, str]:
    """Package → pinned version, over these files."""
    return {
        package: version
        for name in names
        for package, version in _PIN.findall((REQUIREMENTS / f"{name}.txt").read_text())
    }


def licences(package: str) -> set[str]:
    """By SPDX name, as an installed package says; unknown when it is not installed here."""
    try:
        said = metadata(package)
    except PackageNotFoundError:
        return _ELSEWHERE.get(package, {"unknown"})
    if package in _READ:
        return _READ[package]
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in said.get_all("Classifier") or []
        if each.startswith("License :: ") and not each.endswith(":: OSI Approved")
    ]
    told = said.get("License-Expression") or " AND ".join(classifiers) or said.get("License")
    named = re.split(r" (?:AND|OR) ", told or "none")
    return {_NAMES.get(name, name) for name in named}


def refused(names: Sequence[str]) -> Iterator[tuple[str, set[str]]]:
    """Packages with a licence that is not on the list."""
    for package in pins(names):
        beyond = licences(package) - ALLOWED
        if beyond:
            yield package, beyond


def audit() -> int:
    """0: nothing known, or nobody could be asked, which is said. 1: there are advisories."""
    files = [part for file in sorted(REQUIREMENTS.glob("*.txt")) for part in ("-r", str(file))]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", *files, "--require-hashes", "--disable-pip"),
            *("--vulnerability-service", "osv", "--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print("audit: the advisory service could not be asked, so NOTHING WAS CHECKED.")
        print((done.stderr.strip().splitlines() or ["no reason given"])[-1])
        return 0
    weak = [each for each in found if each.get("vulns")]
    for each in weak:
        ids = ", ".join(vulnerability["id"] for vulnerability in each["vulns"])
        print(f"{each['name']} {each['version']}: {ids}")
    print(f"audit: {len(found)} packages, {len(weak)} with known advisories")
    return 1 if weak else 0


def sbom(target: Path) -> int:
    """Components with their hashes, from the pins alone."""
    blocks = [
        block
        for name in RUNTIME
        for block in re.split(r"\n(?=[A-Za-z])", (REQUIREMENTS / f"{name}.txt").read_text())
    ]
    once = {block.partition("==")[0]: block for block in blocks if _PIN.match(block)}
    pinned = "\n".join(once.values())
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "-"]
    command += ["--output-reproducible", "--output-format", "JSON", "-o", str(target)]
    subprocess.run(command, input=pinned, text=True, check=True)
    print(f"sbom: {len(json.loads(target.read_text())['components'])} components in {target}")
    return 0


def main(arguments: Sequence[str]) -> int:
    match arguments:
        case ["audit"]:
            return audit()
        case ["sbom", target]:
            return sbom(Path(target))
        case ["licences"]:
            beyond = dict(refused((*RUNTIME, "dev")))
            print(f"licences: {beyond or 'all are on the list'}")
            return 1 if beyond else 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
