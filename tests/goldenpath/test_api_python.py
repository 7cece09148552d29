"""The service that the template makes, as a newcomer and as the platform meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import yaml

from companyos.catalog.manifest import read_manifest, register_section
from companyos.core.documents import parse_yaml_documents
from companyos.delivery.lockfile import read_lock
from companyos.delivery.section import RunSection, read_run
from companyos.goldenpath.creating import create
from tests.goldenpath import pins
from tests.goldenpath.scaffolding import given, working_folder
from tests.program import Program

PLAYBOOK = (
    "src/handlers", "src/services", "src/models", "src/config", "src/middleware", "tests/unit", "tests/contract",
    "fixtures", "infra", "docker", "config/env.example", "config/schema.json", "feature-flags", "scripts/lint",
    "scripts/test", "scripts/dev", "Makefile",
)  # fmt: skip
ODD = given(
    description="It's \"odd\": \\ # {{ x }} ${y} 'é' `code` %d",
    owner="a.team_1",
    domain="no",
    tier="critical",
    port=65535,
)
"""Answers that break what is not quoted."""


def test_every_folder_of_the_playbook_is_there(orders: Path) -> None:
    """Prompt 1, "API Service Template": exactly these below src, and the rest beside it."""
    assert [path for path in PLAYBOOK if not (orders / path).exists()] == []
    folders = {path.name for path in (orders / "src").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {"handlers", "services", "models", "config", "middleware"}
    assert {path.name for path in (orders / "scripts").iterdir() if os.access(path, os.X_OK)} >= {
        "dev",
        "lint",
        "smoke",
        "test",
    }


def test_the_catalog_takes_the_manifest(orders: Path) -> None:
    """Owner, domain and tier arrive, and the section that says how it is started is the one of the runtime."""
    register_section("run", RunSection)
    manifest = (orders / "companyos.yaml").read_bytes()
    (document,) = parse_yaml_documents(manifest, where="companyos.yaml")
    said = read_manifest(document, source="", where="companyos.yaml").said
    assert (said["owner"], said["domain"], said["tier"]) == (None, "general", "standard")
    assert read_run(manifest) == RunSection(command=("python", "-m", "src.main"))


def test_the_runtime_takes_the_dependency_list(orders: Path) -> None:
    """Every package by version and hash, and nothing that only tests need."""
    names = {pin.name for pin in read_lock((orders / "requirements.lock").read_bytes()).pins}
    assert {"litestar", "msgspec", "uvicorn", "httptools", "uvloop", "pyyaml"} <= names
    assert not names & {"pytest", "ruff", "mypy", "companyos"}


def test_what_set_up_warms_is_what_a_service_asks_for(orders: Path) -> None:
    """The list has no answers in it, so that one environment serves every service of the template."""
    assert (orders / "requirements.lock").read_bytes() == (pins.FILES / "requirements.lock.jinja").read_bytes()


def test_every_file_is_what_its_ending_says(orders: Path) -> None:
    """YAML and JSON can be read, no mark is left, and texts end with one newline."""
    for path in (path for path in orders.rglob("*") if path.is_file() and ".git" not in path.parts):
        text = path.read_text(encoding="utf-8")
        assert text.endswith("\n") or not text, path
        assert not text.endswith("\n\n"), path
        assert not any(mark in text for mark in ("[= ", " =]", "[% ", " %]")), path
        if path.suffix in (".yaml", ".yml"):
            assert list(yaml.safe_load_all(text)), path
        if path.suffix == ".json":
            json.loads(text)


def test_odd_answers_arrive_as_they_are(tmp_path: Path) -> None:
    """Quotes, braces, a word that YAML takes for false: each file that holds an answer still says the same."""
    create(working_folder(), "odd-one", tmp_path, ODD)
    place = tmp_path / "odd-one"
    (document,) = parse_yaml_documents((place / "companyos.yaml").read_bytes(), where="companyos.yaml")
    said = read_manifest(document, source="", where="companyos.yaml").said
    assert {key: said[key] for key in ("description", "owner", "domain", "tier")} == {
        key: ODD[key] for key in ("description", "owner", "domain", "tier")
    }
    deployment = yaml.safe_load((place / "infra/kubernetes/deployment.yaml").read_text(encoding="utf-8"))
    assert deployment["metadata"]["labels"]["app.kubernetes.io/part-of"] == "no"
    assert run_tests_of(place, "tests/unit") == 0


def test_its_own_tests_pass(orders: Path) -> None:
    """Unit and contract tests, the smoke checks against a process among them, right after it was created."""
    assert run_tests_of(orders) == 0


def test_smoke_checks_follow_the_format(orders: Path) -> None:
    """The shape that the platform's runner reads, with the playbook's suite (prompt 6, "Smoke & Health Tests")."""
    document = yaml.safe_load((orders / "smoke.yaml").read_text(encoding="utf-8"))
    assert (document["apiVersion"], document["kind"]) == ("companyos.dev/v1", "Smoke")
    for check in document["checks"]:
        assert set(check) <= {"name", "request", "expect", "capture", "readOnly", "tags"}
        assert set(check["request"]) <= {"method", "path", "headers", "json"}
        assert set(check["expect"]) <= {"status", "json", "headers"}
        assert isinstance(check["readOnly"], bool)
        assert not check["readOnly"] or check["request"]["method"] == "GET"
    asked = {(check["request"]["method"], check["request"]["path"].split("{")[0]) for check in document["checks"]}
    assert asked >= {
        ("GET", "/health"), ("GET", "/status"), ("POST", "/login"), ("GET", "/me"), ("POST", "/documents"),
        ("GET", "/documents/"), ("DELETE", "/documents/"), ("GET", "/flags/new_document_titles"),
    }  # fmt: skip


def test_an_artifact_starts_from_its_folder_and_writes_nothing(orders: Path, tmp_path: Path) -> None:
    """The tar of the commit, extracted, read-only: it starts with what the platform sets, and says who it is."""
    place = tmp_path / "artifact"
    place.mkdir()
    archive = tmp_path / "artifact.tar"
    subprocess.run(["git", "archive", "--output", str(archive), "HEAD"], cwd=orders, check=True)
    with tarfile.open(archive) as tar:
        tar.extractall(place, filter="data")
    before = sorted(path.relative_to(place) for path in place.rglob("*"))
    stamps = {
        "COMPANYOS_SERVICE": "orders",
        "COMPANYOS_VERSION": "1.4.0",
        "COMPANYOS_RELEASE_ID": "r-1",
        "COMPANYOS_RELEASE": "orders-7",
        "COMPANYOS_ENVIRONMENT": "production",
        "COMPANYOS_DIGEST": "sha256:" + "a" * 64,
        "COMPANYOS_COMMIT": "b" * 40,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "src.main"],
        cwd=place,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PORT": "0", **stamps},
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            assert (first["version"], first["release_id"], first["env"]) == ("1.4.0", "r-1", "production")
            build = fetch(f"http://{first['resource']}/health")["build"]
            assert {f"COMPANYOS_{key.upper()}": build[key] for key in build if key != "started_at"} == stamps
        finally:
            process.terminate()
        assert process.wait(timeout=30) == 0
    assert sorted(path.relative_to(place) for path in place.rglob("*")) == before


def fetch(url: str) -> Any:
    """The JSON at an address."""
    import httpx

    with httpx.Client(trust_env=False) as client:
        return client.get(url).raise_for_status().json()


def run_tests_of(place: Path, *what: str) -> int:
    """The exit code of a service's own tests; what they said is shown when it is not 0."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *what],
        cwd=place,
        env={**Program(place).environment, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stdout.write(done.stdout)
    return done.returncode
