"""The section ``run`` of a manifest."""

from __future__ import annotations

import pytest

from companyos.core.errors import InvalidInput, TooLarge
from companyos.delivery.section import RunSection, read_run


def manifest(run: str) -> bytes:
    """Return a manifest with this section."""
    return f"apiVersion: companyos.dev/v1\nkind: Service\nmetadata: {{name: shop}}\nspec:\n  run: {run}\n".encode()


@pytest.mark.parametrize("run", ["", "{}", "null"])
def test_everything_has_a_default(run: str) -> None:
    """That of the template."""
    assert read_run(manifest(run)) == RunSection(
        command=("python", "-m", "src.main"), port_env="PORT", readiness="/ready", liveness="/health"
    )
    assert read_run(b"kind: Service\nmetadata: {name: shop}\n") == RunSection()


def test_what_is_said_is_taken() -> None:
    """Of the first service in the file; other sections and kinds are for others."""
    text = b"kind: Team\n---\n" + manifest("{command: [./bin/run, -x], port_env: LISTEN_PORT, readiness: /r?full=1}")
    run = read_run(text)
    assert (run.command, run.port_env, run.readiness) == (("./bin/run", "-x"), "LISTEN_PORT", "/r?full=1")


@pytest.mark.parametrize(
    ("run", "fault"),
    [
        ("{command: []}", "command"),
        ("{command: [bash, -c, x]}", "begins with python or with ./"),
        ("{command: [/bin/sh]}", "begins with python or with ./"),
        ("{command: [./../../bin/sh]}", "begins with python or with ./"),
        ('{command: [python, "a\\0b"]}', "command"),
        ("{port_env: PATH}", "set by the platform"),
        ("{port_env: LD_PRELOAD}", "set by the platform"),
        ("{port_env: COMPANYOS_VERSION}", "set by the platform"),
        ("{port_env: port}", "port_env"),
        ("{readiness: ready}", "readiness"),
        ('{readiness: "/a b"}', "readiness"),
        ('{readiness: "/a\\r\\nHost: x"}', "readiness"),
        ("{liveness: http://elsewhere/}", "liveness"),
        ("{restart: never}", "restart"),
        ("[1]", "spec.run"),
    ],
)
def test_anything_else_is_refused_with_its_field(run: str, fault: str) -> None:
    """In one sentence."""
    with pytest.raises(InvalidInput, match=fault):
        read_run(manifest(run))


def test_a_manifest_holds_a_service_and_has_a_size() -> None:
    """Both limits of a manifest."""
    with pytest.raises(InvalidInput, match="describes no service"):
        read_run(b"kind: Team\n")
    with pytest.raises(TooLarge):
        read_run(b"#" * 300_000)
