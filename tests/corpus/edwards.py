"""Just enough arithmetic on edwards25519 (RFC 8032 section 5.1) to sign as no library would.

Slow, and its time depends on the secret: for keys that everybody knows.
"""

from __future__ import annotations

import hashlib
from functools import cache

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

Point = tuple[int, int]
IDENTITY: Point = (0, 1)
ORDER_2: Point = (0, P - 1)


def add(one: Point, other: Point) -> Point:
    """Section 5.1.4, in affine coordinates."""
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P
    return x, y


def times(number: int, point: Point) -> Point:
    made = IDENTITY
    while number:
        if number & 1:
            made = add(made, point)
        point, number = add(point, point), number >> 1
    return made


def encode(point: Point) -> bytes:
    """Section 5.1.2."""
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


@cache
def base() -> Point:
    """The point with y = 4/5 and an even x (section 5.1)."""
    y = 4 * pow(5, -1, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (P - x if x & 1 else x), y


def scalar(seed: bytes) -> int:
    """The secret scalar of a private key of 32 bytes (section 5.1.5)."""
    digest = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return digest & (1 << 254) - 8 | 1 << 254


def challenge(r: bytes, key: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


def sign_with(r: int, commitment: bytes, seed: bytes, key: bytes, message: bytes) -> bytes:
    """R as `commitment` spells it, and the S that goes with the secret `r` (section 5.1.6)."""
    s = (r + challenge(commitment, key, message) * scalar(seed)) % L
    return commitment + s.to_bytes(32, "little")
