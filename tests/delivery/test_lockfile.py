"""Which dependency lists are accepted, and what they pin."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import InvalidInput, TooLarge
from companyos.delivery.lockfile import LIMIT_BYTES, LIMIT_REQUIREMENTS, Pin, normal_name, read_lock

HASH = f"--hash=sha256:{'ab' * 32}"


def test_a_list_gives_its_pins() -> None:
    """As pip-tools and uv write it: over several lines, with comments, extras and markers."""
    data = (
        f"# made by make lock\nA.b_c==1.0 \\\n    {HASH} \\\n    --hash=sha512:{'0' * 128}\n    # via x\n"
        f"d[e,f]==2!3.0+local ; python_version < \"3.12\" and sys_platform == 'win32' {HASH}\n\n"
    ).encode()
    lock = read_lock(data)
    assert lock.pins == (Pin("a-b-c", "1.0", conditional=False), Pin("d", "2!3.0+local", conditional=True))
    assert lock.digest == sha256(data).hexdigest()


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# nothing\n"])
def test_a_list_may_be_empty(data: bytes) -> None:
    """A service without dependencies."""
    assert read_lock(data).pins == ()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("--index-url https://elsewhere", "the option '--index-url'"),
        ("-r other.txt", "the option '-r'"),
        ("-e .", "the option '-e'"),
        (f"a @ https://elsewhere/a.whl {HASH}", "an address or a path"),
        ("./a.whl", "an address or a path"),
        ("/a.whl", "an address or a path"),
        (f"a>=1 {HASH}", "no package pinned"),
        (f"a==1.* {HASH}", "no package pinned"),
        (f"a=={'1' * 61} {HASH}", "no package pinned"),
        (f"a==1 {HASH} --global-option=x", "no package pinned"),
        (f"a==1 --index-url=x {HASH}", "no package pinned"),
        ("a==1", "pins a without a hash"),
        ("a==1 --hash=md5:abcd", "has a hash of a that is no SHA-256"),
        (f"a==1 {HASH} --hash=sha256:{'ab' * 31}", "has a hash of a that is no SHA-256"),
    ],
)
def test_what_could_bring_other_code_is_refused(line: str, fault: str) -> None:
    """With the number of its line."""
    with pytest.raises(InvalidInput, match=fault) as raised:
        read_lock(f"# first\n\nok==1 {HASH}\n{line}\n".encode())
    assert str(raised.value).startswith("requirements.lock, line 4, ")


def test_a_list_has_a_size_and_is_text() -> None:
    """It comes from a service."""
    with pytest.raises(TooLarge):
        read_lock(b"#" * (LIMIT_BYTES + 1))
    with pytest.raises(TooLarge):
        read_lock("".join(f"a{count}==1 {HASH}\n" for count in range(LIMIT_REQUIREMENTS + 1)).encode())
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_lock(b"\xff")


@given(st.text(alphabet="aB0.-_", min_size=1, max_size=20))
def test_a_normal_name_is_normal(name: str) -> None:
    """Case and separators do not count."""
    assert normal_name(normal_name(name)) == normal_name(name)
    assert normal_name(name.upper().replace("_", "..")) == normal_name(name.replace("_", "-"))


@given(st.text(max_size=200))
def test_no_text_brings_an_option_through(text: str) -> None:
    """What is accepted is packages with hashes and nothing else."""
    try:
        lock = read_lock(text.encode("utf-8", "surrogatepass"))
    except InvalidInput:
        return
    assert all(pin.version for pin in lock.pins)
    assert not lock.pins or "--hash=sha" in text
