"""Tests that may be looked at after every request: is the candidate worse than its baseline? Pure, ``math`` only.

Each test holds *evidence* as wealth: it starts with 1 and bets, before each request, that the candidate is worse. While
the null hypothesis is true no such bet has a gain on average (the wealth is a non-negative supermartingale), so by
Ville's inequality P(the wealth ever reaches L) <= 1/L, whenever and however often one looks. The wealth is spread over
a grid of alternatives (how much worse?) and over times at which it may have become worse: a part of the wealth is kept
in *reserve*, and a piece of it fixed by ``_piece`` joins the bets before each new look. So a long good past costs a
bounded factor instead of everything, and the state stays as small as the grid.

Errors and slow requests: the router draws the arm of every request with a known weight w, hence a *bad* request is the
candidate's with probability w·a / (w·a + (1-w)·b), where a and b are how often the arms fail. If a <= rho·b this is at
most p0 = w·rho / (w·rho + 1-w), whatever a and b are and however they move: an outage of both arms is no evidence.
(Lindon and Malek, NeurIPS 2022: anytime-valid inference for multinomial count data; Ramdas et al., arXiv 2210.01948.)

Several requests that come in one look are in no known order. Nothing here depends on one: what joins the bets is fixed
by earlier looks, and a product of independent factors has no order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, Final, TypeAlias

import msgspec

from companyos.delivery.model import Interval, Synthetic
from companyos.delivery.policy import ReleasePolicy

TESTED: Final = 3
"""So many tests share the allowance of false rollbacks: errors, slow requests, synthetic checks."""
RHO_ERRORS: Final = 1.0
RHO_SLOW: Final = 1.5
"""A candidate that is slow at most this many times as often as its baseline is not rejected."""
GRID: Final = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0)
"""The alternatives: so many times as bad as the null hypothesis allows."""
SKEWS: Final = (0.25, 0.5, 0.8, 0.9, 1 / 0.9, 1 / 0.8, 2.0, 4.0)
"""The alternatives of the share: the odds of the candidate are so many times what was assigned. The nearest is 10 %
away, so that a deviation of a few percent, which harms nobody, is never reported."""
SKEW_LIMIT: Final = 1000.0
_CAP: Final = 1e100
"""Wealth above this is given away, which is always fair; it keeps every number finite."""
_SHARE_CAP: Final = 1e6
"""The same for the share, so low that the test can see that a fault is repaired."""
_EXPONENT_MAX: Final = 345.0
"""No look multiplies by more than e to this: also giving away."""
_LEAST: Final = 1e-300

_Factors: TypeAlias = tuple[tuple[float, float], ...]
"""For each alternative the logarithms by which a candidate's and a stable arm's request multiply its wealth."""


class _Prior(msgspec.Struct, frozen=True):
    """How the wealth is spread over the times at which a change may come: the sum of all pieces is 1."""

    begin: float
    """Bets from the first look on."""
    flat: float
    """Joins in equal pieces over the first ``count`` requests that are tested."""
    count: int


_COINS: Final = _Prior(0.5, 0.35, 20)
_CHECKS: Final = _Prior(0.01, 0.8, 512)
"""Three failures in a row reject at 1/300 at any of the first 512 checks; the playbook's rule needs three anyway."""


class CoinFlip(msgspec.Struct, frozen=True, kw_only=True):
    """Whether bad requests fall on the candidate more often than its share of the traffic explains; one-sided."""

    rho: float
    canary: int = 0
    """Bad requests of the candidate that were tested."""
    stable: int = 0
    """Bad requests of the baseline that were tested."""
    wealth: tuple[float, ...]
    """What bets on each alternative of ``GRID``."""
    reserve: float
    e_max: float = 1.0
    """The largest e-value so far."""

    @classmethod
    def begin(cls, rho: float) -> CoinFlip:
        """Return the test before the first request; null hypothesis: at most ``rho`` times as bad as the baseline."""
        return cls(rho=rho, wealth=_begun(_COINS, len(GRID)), reserve=1 - _COINS.begin)

    @property
    def e_value(self) -> float:
        """The evidence as it stands, 0 up to 1e100."""
        return sum(self.wealth) + self.reserve

    def add(self, canary: int, stable: int, ratio: float) -> CoinFlip:
        """Return the test after so many further bad requests, routed with this weight.

        Their order does not matter. With a ratio of 0 or 1 there was nothing to compare with, and nothing changes.
        """
        tested = canary + stable
        if tested <= 0 or not 0 < ratio < 1:
            return self
        piece = min(self.reserve, _piece(_COINS, self.canary + self.stable))
        wealth = _bet(self.wealth, piece, _coin_factors(self.rho, ratio), canary, stable, _CAP)
        reserve = self.reserve - piece
        return CoinFlip(
            rho=self.rho,
            canary=self.canary + canary,
            stable=self.stable + stable,
            wealth=wealth,
            reserve=reserve,
            e_max=max(self.e_max, sum(wealth) + reserve),
        )

    def rejects(self, limit: float) -> bool:
        """Whether the evidence has ever reached ``limit``; that happens by mistake with probability <= 1/limit."""
        return self.e_max >= limit


class Sprt(msgspec.Struct, frozen=True, kw_only=True):
    """Whether synthetic checks fail more often than those of a healthy service; one-sided.

    A sequential likelihood ratio of ``p1`` against ``p0`` (Wald 1945) that may begin at every check.
    """

    p0: float
    """At most this share of checks fails while all is well, whatever happened before."""
    p1: float
    passed: int = 0
    failed: int = 0
    wealth: float
    reserve: float
    e_max: float = 1.0

    @classmethod
    def begin(cls, p0: float = 0.01, p1: float = 0.5) -> Sprt:
        """Return the test before the first check."""
        return cls(p0=p0, p1=p1, wealth=_CHECKS.begin, reserve=1 - _CHECKS.begin)

    @property
    def e_value(self) -> float:
        """The evidence as it stands, 0 up to 1e100."""
        return self.wealth + self.reserve

    def add(self, passed: int, failed: int) -> Sprt:
        """Return the test after so many further checks."""
        if passed + failed <= 0:
            return self
        piece = min(self.reserve, _piece(_CHECKS, self.passed + self.failed))
        factors = ((math.log(self.p1 / self.p0), math.log((1 - self.p1) / (1 - self.p0))),)
        (wealth,) = _bet((self.wealth,), piece, factors, failed, passed, _CAP)
        reserve = self.reserve - piece
        return Sprt(
            p0=self.p0,
            p1=self.p1,
            passed=self.passed + passed,
            failed=self.failed + failed,
            wealth=wealth,
            reserve=reserve,
            e_max=max(self.e_max, wealth + reserve),
        )

    def rejects(self, limit: float) -> bool:
        """Whether the evidence has ever reached ``limit``."""
        return self.e_max >= limit


class ShareTest(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests are divided as assigned, in either direction; every request counts."""

    canary_requests: int = 0
    stable_requests: int = 0
    looks: int = 0
    wealth: tuple[float, ...]
    reserve: float

    @classmethod
    def begin(cls) -> ShareTest:
        """Return the test before the first request."""
        return cls(wealth=_begun(_COINS, len(SKEWS)), reserve=1 - _COINS.begin)

    @property
    def e_value(self) -> float:
        """The evidence as it stands, 0 up to 1e6."""
        return sum(self.wealth) + self.reserve

    @property
    def skewed(self) -> bool:
        """Whether the shares are wrong; by mistake ever with probability <= 0.001. False again once it is repaired."""
        return self.e_value >= SKEW_LIMIT

    def add(self, canary_requests: int, stable_requests: int, ratio: float) -> ShareTest:
        """Return the test after so many further requests, routed with this weight; 0 and 1 divide nothing."""
        if canary_requests + stable_requests <= 0 or not 0 < ratio < 1:
            return self
        piece = min(self.reserve, _piece(_COINS, self.looks))
        return ShareTest(
            canary_requests=self.canary_requests + canary_requests,
            stable_requests=self.stable_requests + stable_requests,
            looks=self.looks + 1,
            wealth=_bet(self.wealth, piece, _share_factors(ratio), canary_requests, stable_requests, _SHARE_CAP),
            reserve=self.reserve - piece,
        )


class Tests(msgspec.Struct, frozen=True, kw_only=True):
    """All tests of one release."""

    __test__: ClassVar[bool] = False
    """Its name looks like a class of pytest's."""

    errors: CoinFlip
    slow: CoinFlip
    synthetic: Sprt
    share: ShareTest

    @classmethod
    def begin(cls, policy: ReleasePolicy) -> Tests:  # noqa: ARG003 - a policy may come to choose what is tested
        """Return the tests before the first observation."""
        return cls(
            errors=CoinFlip.begin(RHO_ERRORS),
            slow=CoinFlip.begin(RHO_SLOW),
            synthetic=Sprt.begin(),
            share=ShareTest.begin(),
        )

    def observe(self, intervals: Sequence[Interval], ratios: Mapping[int, float], synthetic: Synthetic | None) -> Tests:
        """Return the tests after one observation; ``ratios`` gives the weight of each interval by its number.

        An interval whose weight is not known tests nothing.
        """
        errors, slow, share, checks = self.errors, self.slow, self.share, self.synthetic
        for interval in intervals:
            ratio = ratios.get(interval.number, 0.0)
            errors = errors.add(interval.canary_errors, interval.stable_errors, ratio)
            slow = slow.add(interval.canary_slow, interval.stable_slow, ratio)
            share = share.add(interval.canary_requests, interval.stable_requests, ratio)
        if synthetic is not None:
            checks = checks.add(synthetic.passed, synthetic.failed)
        return Tests(errors=errors, slow=slow, synthetic=checks, share=share)


def limit(policy: ReleasePolicy) -> float:
    """Return the e-value at which one test rejects, so that all together keep the allowance of false rollbacks."""
    return TESTED / policy.false_rollback_ratio


def nats_needed(test: CoinFlip, limit: float, ratio: float) -> list[tuple[float, float, float]]:
    """Return for each alternative how much must come until it alone rejects, and what comes, in natural logarithms.

    Each is (what is missing, what a bad request of the candidate adds, what one of the baseline adds); the last is
    negative. Empty at a ratio of 0 or 1. This is what forecasts are made of.
    """
    if not 0 < ratio < 1:
        return []
    each = min(test.reserve, _piece(_COINS, test.canary + test.stable)) / len(test.wealth)
    rest = max(limit - test.reserve, 1.0)
    return [
        (max(0.0, math.log(rest / max(had + each, _LEAST))), canary, stable)
        for had, (canary, stable) in zip(test.wealth, _coin_factors(test.rho, ratio), strict=True)
    ]


def _begun(prior: _Prior, alternatives: int) -> tuple[float, ...]:
    return (prior.begin / alternatives,) * alternatives


def _piece(prior: _Prior, tested: int) -> float:
    """Return what leaves the reserve before the next look, after so many tested requests; all of them sum to <= 1."""
    if tested < prior.count:
        return prior.flat / prior.count
    return (1 - prior.begin - prior.flat) * prior.count / (tested * (tested + 1))


def _bet(
    wealth: tuple[float, ...], piece: float, factors: _Factors, canary: int, stable: int, cap: float
) -> tuple[float, ...]:
    """Return the wealth after one look, into which ``piece`` joined evenly before."""
    each = piece / len(wealth)
    exp = math.exp
    after = [
        (had + each) * exp(min(_EXPONENT_MAX, canary * of_canary + stable * of_stable))
        for had, (of_canary, of_stable) in zip(wealth, factors, strict=True)
    ]
    total = sum(after)
    if total > cap:
        return tuple(held * (cap / total) for held in after)
    return tuple(after)


@lru_cache(maxsize=256)
def _coin_factors(rho: float, ratio: float) -> _Factors:
    return _factors(ratio * rho, 1 - ratio, GRID)


@lru_cache(maxsize=256)
def _share_factors(ratio: float) -> _Factors:
    return _factors(ratio, 1 - ratio, SKEWS)


def _factors(canary: float, stable: float, alternatives: Sequence[float]) -> _Factors:
    """Return the log factors of odds that are so many times ``canary / stable``, against these odds themselves."""
    total = canary + stable
    return tuple(
        (math.log(times * total / (canary * times + stable)), math.log(total / (canary * times + stable)))
        for times in alternatives
    )
