"""The checks in their order, and carrying them out.

Pictures are random; a method that passes may still be wrong about what it sees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bench.cards.catalog import Catalog
from bench.cards.variant import Variant
from bench.conformance import behaviour, stated
from bench.conformance.subject import Finding, Subject, Verdict, fail
from bench.errors import BenchError
from bench.models.network import Network
from bench.process.offline import offline


class Check(NamedTuple):
    """A promise: its name, what tries it, and the checks without which it cannot be tried."""

    name: str
    run: Callable[[Subject], str]
    needs: tuple[str, ...] = ()


def examine(
    variant: Variant,
    network: Network,
    catalog: Catalog,
    device: str,
    *,
    begun: Callable[[str], None] = lambda name: None,
) -> list[Finding]:
    """Check a method variant, without any network.

    Args:
        variant: the method with its axes fixed.
        network: its network, whose weights are here.
        catalog: the cards that its own refers to.
        device: where it runs.
        begun: is told which check begins.

    Returns:
        One finding a check, in order. A check that cannot be tried because another one failed is skipped.
    """
    subject = Subject(variant, network, catalog, device)
    findings: dict[str, Finding] = {}
    with offline(subject.attempts):
        for check in CHECKS:
            begun(check.name)
            broken = [name for name in check.needs if findings[name].state in ("failed", "skipped")]
            if broken:
                findings[check.name] = Finding(check.name, "skipped", f"not tried, because of {broken[0]!r}")
            else:
                findings[check.name] = _run(check, subject)
    return list(findings.values())


def _run(check: Check, subject: Subject) -> Finding:
    try:
        return Finding(check.name, "passed", check.run(subject))
    except Verdict as verdict:
        return Finding(check.name, verdict.state, verdict.says)
    except BenchError as error:
        return Finding(check.name, "failed", str(error))
    except Exception as error:
        return Finding(check.name, "failed", f"{type(error).__name__}: {error}")


def _pixels(subject: Subject) -> str:
    subject.pixels = subject.draw()
    return f"its protocol {subject.variant.card.protocol!r} gives {list(subject.sent.shape)}"


def _network(subject: Subject) -> str:
    if subject.attempts:
        reached = ", ".join(subject.attempts[:3])
        fail(f"it tried to reach {reached}: everything must come from the files in `weights` (`bench fetch` gets them)")
    return "it never tried to reach the network"


CHECKS = (
    Check("card", stated.card),
    Check("import", stated.cheap),
    Check("protocol", stated.protocol, ("import",)),
    Check("version", stated.version, ("import",)),
    Check("pixels", _pixels),
    Check("build", behaviour.build, ("protocol",)),
    Check("shapes", behaviour.shapes, ("build", "pixels")),
    Check("finite", behaviour.finite, ("shapes",)),
    Check("repeatable", behaviour.repeatable, ("finite",)),
    Check("batch size", behaviour.batch_size, ("repeatable",)),
    Check("order", behaviour.order, ("repeatable",)),
    Check("one space", behaviour.space, ("shapes",)),
    Check("texts", behaviour.texts, ("repeatable",)),
    Check("long text", behaviour.long, ("shapes",)),
    Check("tells apart", behaviour.apart, ("finite",)),
    Check("calls", behaviour.calls, ("repeatable",)),
    Check("instances", behaviour.instances, ("repeatable",)),
    Check("odd input", behaviour.odd, ("build", "pixels")),
    Check("parameters", behaviour.parameters, ("build",)),
    Check("network", _network),
)
