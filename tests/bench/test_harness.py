from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.__main__ import main, rooms
from bench.harness import AtLeast, AtMost, Row, number, percentile


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        (AtLeast(1000), 1000.0, "pass"),
        (AtLeast(1000), 999.9, "miss"),
        (AtMost(5), 5.0, "pass"),
        (AtMost(5), 5.01, "miss"),
        (None, 1.0, ""),
    ],
)
def test_a_row_is_judged_by_its_target(target: AtLeast | AtMost | None, value: float, verdict: str) -> None:
    """A target is reached by the value itself and by everything on its good side."""
    assert Row(room="r", name="n", value=value, unit="s", target=target).verdict == verdict


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (5.0, "5"),
        (1190.4, "1,190"),
        (999.9, "1,000"),
        (0.2154, "0.215"),
        (12.345, "12.3"),
        (2e-5, "0.0000200"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    """A table shows three significant digits, and whole thousands."""
    assert number(value) == text


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_percentile_is_a_sample_that_covers_its_share(samples: list[float], share: float) -> None:
    """The nearest-rank percentile is one of the samples, covers its share, and no smaller sample does."""
    found = percentile(samples, share)
    assert found in samples
    assert sum(sample <= found for sample in samples) >= share * len(samples)
    assert sum(sample < found for sample in samples) < share * len(samples)


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two benchmarks of which the second breaks, in place of the real ones."""

    def measured(scale: float) -> list[Row]:
        return [Row(room="good", name="appends", value=900 * scale, unit="per s", target=AtLeast(1000))]

    def broken(scale: float) -> list[Row]:
        raise RuntimeError("no [disk] left")

    for name, run in (("good", measured), ("broken", broken)):
        module = ModuleType(f"bench.{name}")
        module.__dict__["run"] = run
        monkeypatch.setitem(sys.modules, f"bench.{name}", module)
    names = ["broken", "good"]
    monkeypatch.setattr("bench.__main__.rooms", lambda: names)
    return names


def test_a_broken_benchmark_hides_no_number(benchmarks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The table still shows the other rooms, names the fault, and the run ends with "could not find out"."""
    assert main(["--scale", "0.5"]) == 3
    table = capsys.readouterr().out
    assert "450 per s" in table
    assert "miss" in table
    assert "could not measure broken: RuntimeError: no [disk] left" in table


def test_json_is_one_document_with_its_conditions(benchmarks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints nothing but one document, and a missed target is exit code 1."""
    assert main(["--json", "--only", "good"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["conditions"]["cores"] >= 1
    assert [row["value"] for row in report["rows"]] == [900]
    assert report["faults"] == []


@pytest.mark.parametrize("arguments", [["--only", "cellar"], ["--scale", "0"], ["--scale", "nan"], ["--scale", "1e9"]])
def test_bad_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A room that does not exist or an impossible scale measures nothing."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


def test_every_benchmark_is_found() -> None:
    """The modules of the folder are the rooms, and the harness is none."""
    assert "startup" in rooms()
    assert "harness" not in rooms()
