"""Canonical JSON (RFC 8785, JCS): equal values are equal bytes, so a digest or a signature of a value means something.

Most values take a fast road: one walk proves that msgspec's C encoder already writes them as the RFC wants (strings,
booleans, nulls, safe integers, everyday fractions, and keys whose UTF-16 order is also their UTF-8 order). Every other
value, broken ones included, takes the slow road, which follows the RFC word by word and names what it refuses.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

import msgspec

from companyos.core.errors import InvalidInput, TooLarge

JsonValue: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None
"""What JSON can say, in Python's words; one level deep, because msgspec resolves no recursive alias at run time."""

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 7493 §2.2); the smallest is its negative."""

MAX_DEPTH: Final = 64
"""How deep arrays and objects may nest unless the caller says otherwise; ``[]`` has depth 1."""

MAX_BYTES: Final = 32 * 1024 * 1024
"""How many bytes ``loads`` reads unless the caller says otherwise."""

_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder()
_ALWAYS_PLAIN: Final = frozenset({str, bool, type(None)})
_LAST_BMP: Final = "\uffff"
_SMALLEST_PLAIN_FRACTION: Final = 1e-3

_Path: TypeAlias = "tuple[_Path, str | int] | None"


def dumps(value: object, *, max_depth: int = MAX_DEPTH) -> bytes:
    """Return the canonical UTF-8 bytes of a value made of dict, list, tuple, str, int, float, bool and None.

    A tuple is written as an array. Subclasses are refused, because what they mean to say is not known here.
    Raises InvalidInput, whose ``field`` is the path of the culprit (``$.details.size[3]``), for any other type, a key
    that is no string, NaN and the infinities, an integer beyond ±(2**53-1), a lone surrogate, or too deep a nesting.
    """
    if _is_plain(value, max_depth):
        try:
            return _ENCODER.encode(value)
        except UnicodeEncodeError:
            pass  # A lone surrogate somewhere; the slow road below finds out where.
    parts: list[bytes] = []
    _write(value, parts, max_depth, None)
    return b"".join(parts)


def loads(
    data: bytes, *, must_be_canonical: bool = False, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES
) -> JsonValue:
    """Return the value that a JSON text stands for; with ``must_be_canonical`` only if ``dumps`` gives the text back.

    Reads I-JSON (RFC 7493) and refuses what two readers may understand differently: bytes that are not UTF-8, duplicate
    keys, lone surrogates, NaN and the infinities, numbers out of range, integers that a double does not hold exactly.
    An integer beyond ±(2**53-1) that is the canonical form of a double comes back as that float, so all that ``dumps``
    writes can be read. Raises InvalidInput with what is wrong, or TooLarge above ``max_bytes``.
    """
    if len(data) > max_bytes:
        raise TooLarge(
            f"The JSON text has {len(data)} bytes; the limit is {max_bytes}.", next_step="Send a smaller document."
        )
    if must_be_canonical:
        # A text that its own decoded value encodes to again is canonical, whichever decoder was used.
        try:
            value: JsonValue = _DECODER.decode(data)
            if dumps(value, max_depth=max_depth) == data:
                return value
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidInput):
            pass  # The strict reader below says what is wrong.
    value = _read(data)
    canonical = dumps(value, max_depth=max_depth)  # Refuses lone surrogates and deep nesting, with the path.
    if must_be_canonical and canonical != data:
        raise InvalidInput(
            f"The JSON text is not in canonical form; it first differs at byte {_first_difference(canonical, data)}.",
            next_step="Write it as RFC 8785 says: no spaces, keys sorted, shortest numbers and strings.",
        )
    return value


def _is_plain(value: object, room: int) -> bool:
    """Tell whether the C encoder's bytes are canonical; lone surrogates are left to the encoder, which refuses them."""
    kind = type(value)
    return kind in _ALWAYS_PLAIN or ((check := _PLAIN_WHEN.get(kind)) is not None and check(value, room))


def _is_plain_object(value: dict[object, object], room: int) -> bool:
    if room == 0:
        return False
    for key, item in value.items():
        if type(key) is not str or not (key.isascii() or max(key) <= _LAST_BMP):
            return False
        if type(item) not in _ALWAYS_PLAIN and not _is_plain(item, room - 1):
            return False
    return True


def _is_plain_array(value: list[object] | tuple[object, ...], room: int) -> bool:
    return room != 0 and all(type(item) in _ALWAYS_PLAIN or _is_plain(item, room - 1) for item in value)


def _is_plain_integer(value: int, _: int) -> bool:
    return -MAX_INTEGER <= value <= MAX_INTEGER


def _is_plain_fraction(value: float, _: int) -> bool:
    """Tell whether both notations are the same plain decimal; the rest follows the RFC's own rules."""
    return _SMALLEST_PLAIN_FRACTION <= abs(value) <= MAX_INTEGER and not value.is_integer()


_PLAIN_WHEN: Final[Mapping[type, Callable[[Any, int], bool]]] = {
    dict: _is_plain_object,
    list: _is_plain_array,
    tuple: _is_plain_array,
    int: _is_plain_integer,
    float: _is_plain_fraction,
}


def _write(value: object, parts: list[bytes], room: int, path: _Path) -> None:
    """Append the canonical bytes of the value, or raise InvalidInput that names the path."""
    writer = _WRITERS.get(type(value))
    if writer is None:
        _refuse(
            path,
            f"is of type {type(value).__name__}, which JSON cannot say",
            "Use dict, list, str, int, float, bool or None.",
        )
    writer(value, parts, room, path)


def _write_object(value: dict[object, object], parts: list[bytes], room: int, path: _Path) -> None:
    _check_room(room, path)
    separator = b"{"
    for key in _sorted_keys(value, path):
        step = (path, key)
        parts.append(separator)
        _write_string(key, parts, room, step)
        parts.append(b":")
        _write(value[key], parts, room - 1, step)
        separator = b","
    parts.append(b"}" if value else b"{}")


def _sorted_keys(value: dict[object, object], path: _Path) -> list[str]:
    """Return the keys in the order of their UTF-16 code units (RFC 8785 §3.2.3)."""
    keys = [key for key in value if type(key) is str]
    if len(keys) != len(value):
        stranger = next(key for key in value if type(key) is not str)
        _refuse(path, f"has a key of type {type(stranger).__name__}", "Use strings as keys.")
    # Big-endian bytes compare as the code units do. Lone surrogates pass here and are refused when the key is written.
    return sorted(keys, key=lambda key: key.encode("utf-16-be", "surrogatepass"))


def _write_array(value: list[object] | tuple[object, ...], parts: list[bytes], room: int, path: _Path) -> None:
    _check_room(room, path)
    separator = b"["
    for index, item in enumerate(value):
        parts.append(separator)
        _write(item, parts, room - 1, (path, index))
        separator = b","
    parts.append(b"]" if value else b"[]")


def _write_string(value: str, parts: list[bytes], _: int, path: _Path) -> None:
    """Append the quoted string with the escapes of RFC 8785 §3.2.2.2, which are the ones msgspec writes."""
    try:
        parts.append(_ENCODER.encode(value))
    except UnicodeEncodeError:
        _refuse(path, "holds half of a surrogate pair, which UTF-8 cannot say", "Send well-formed Unicode text.")


def _write_integer(value: int, parts: list[bytes], room: int, path: _Path) -> None:
    if not _is_plain_integer(value, room):
        _refuse(path, "is an integer beyond ±(2**53-1), which readers do not keep exactly", "Write it as a string.")
    parts.append(b"%d" % value)


def _write_double(value: float, parts: list[bytes], _: int, path: _Path) -> None:
    if not math.isfinite(value):
        _refuse(path, f"is {value}, which JSON cannot say", "Leave it out or write null.")
    parts.append(_number(value))


def _write_boolean(value: bool, parts: list[bytes], _room: int, _path: _Path) -> None:  # noqa: FBT001 - it is the value
    parts.append(b"true" if value else b"false")


def _write_null(_value: None, parts: list[bytes], _room: int, _path: _Path) -> None:
    parts.append(b"null")


_WRITERS: Final[Mapping[type, Callable[[Any, list[bytes], int, _Path], None]]] = {
    dict: _write_object,
    list: _write_array,
    tuple: _write_array,
    str: _write_string,
    int: _write_integer,
    float: _write_double,
    bool: _write_boolean,
    type(None): _write_null,
}


def _number(value: float) -> bytes:
    """Return a finite double as ECMAScript's Number::toString does (RFC 8785 §3.2.2.3, ECMA-262 §6.1.6.1.20).

    Python's ``repr`` finds the same shortest digits; only the notation differs. With the digits d₁…dₖ and the value
    0.d₁…dₖ·10ⁿ, the cases below are those of the specification, in its order.
    """
    if value == 0:
        return b"0"
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    padded = whole + fraction
    digits = padded.lstrip("0")
    n = len(whole) + int(exponent or 0) - (len(padded) - len(digits))
    digits = digits.rstrip("0")
    k = len(digits)
    if k <= n <= 21:  # noqa: PLR2004 - the specification's number
        text = digits + "0" * (n - k)
    elif 0 < n <= 21:  # noqa: PLR2004 - the specification's number
        text = f"{digits[:n]}.{digits[n:]}"
    elif -6 < n <= 0:  # noqa: PLR2004 - the specification's number
        text = f"0.{'0' * -n}{digits}"
    else:
        point = "." if k > 1 else ""
        text = f"{digits[0]}{point}{digits[1:]}e{n - 1:+d}"
    return (text if value > 0 else f"-{text}").encode()


def _read(data: bytes) -> JsonValue:
    """Parse strictly; what ``dumps`` refuses (lone surrogates, depth) is left to it."""
    try:
        value: JsonValue = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as fault:
        raise InvalidInput(
            f"The JSON text is not UTF-8: byte {fault.start} cannot be read.", next_step="Send it encoded as UTF-8."
        ) from fault
    except json.JSONDecodeError as fault:
        raise InvalidInput(
            f"The text is not JSON: {fault.msg.removesuffix(' at')} at line {fault.lineno}, column {fault.colno}.",
            next_step="Mend the JSON and try again.",
        ) from fault
    except RecursionError as fault:
        raise InvalidInput("The JSON text is nested too deeply.", next_step="Flatten the document.") from fault
    return value


def _object(pairs: list[tuple[str, JsonValue]]) -> JsonValue:
    """Return the members as a dict, or refuse a name that comes twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise InvalidInput(
            f"The JSON text has an object with the key {twice[:60]!r} more than once.", next_step="Keep one of them."
        )
    return members


def _integer(text: str) -> int | float:
    """Return the integer, or the double whose canonical form the text is when an integer of this size is not safe."""
    if len(text) <= len(str(-MAX_INTEGER)) and -MAX_INTEGER <= (value := int(text)) <= MAX_INTEGER:
        return value
    double = float(text)
    if not math.isfinite(double) or _number(double) != text.encode():
        raise InvalidInput(
            f"The JSON text has the integer {_shortened(text)}, which a double does not hold exactly.",
            next_step="Write it as a string.",
        )
    return double


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InvalidInput(f"The number {_shortened(text)} is out of range.", next_step="Write it as a string.")
    return value


def _constant(text: str) -> NoReturn:
    raise InvalidInput(f"The JSON text holds {text}, which JSON cannot say.", next_step="Leave it out or write null.")


def _check_room(room: int, path: _Path) -> None:
    if room == 0:
        _refuse(path, "is nested too deeply", "Flatten the document.")


def _refuse(path: _Path, fault: str, next_step: str) -> NoReturn:
    where = _render(path)
    raise InvalidInput(f"The value at {where} {fault}.", next_step=next_step, field=where)


def _render(path: _Path) -> str:
    """Return the path as ``$.details["a b"][3]``, safe to print; long keys and the middle of long paths are cut."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        if isinstance(step, int):
            steps.append(f"[{step}]")
        else:
            steps.append(f".{step}" if step.isidentifier() and step.isascii() else f"[{json.dumps(step[:40])}]")
    steps.reverse()
    shown = steps if len(steps) <= 16 else [*steps[:8], "…", *steps[-8:]]  # noqa: PLR2004 - what fits on two lines
    return "$" + "".join(_shortened(step) for step in shown)


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 - what fits in a sentence


def _first_difference(canonical: bytes, data: bytes) -> int:
    """Return the first index at which the two differ; the shorter's length when it is a prefix of the other."""
    return next(
        (index for index, (a, b) in enumerate(zip(canonical, data, strict=False)) if a != b),
        min(len(canonical), len(data)),
    )
