"""The runner: every contender in every round, each time from the same start, and what it did checked afterwards."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bench import measure
from bench.contenders import CONTENDERS, Command, Credentials
from bench.ratios import rotated
from bench.servers import CREDENTIALS


class Scenario(Protocol):
    """What is measured."""

    title: str
    unit: str
    amount: int
    """How many units one run handles."""
    endpoint: str
    server: int
    """Process id of the server."""
    timeout: float
    """Seconds that a run may take."""

    def reset(self) -> None:
        """Make the start of a run."""

    def command(self, contender: str) -> Command:
        """What a contender has to run."""

    def verify(self, output: str) -> None:
        """Raise AssertionError unless all was done; by means of its own, not the contender's."""


@dataclass(frozen=True)
class Sample:
    """One run. Seconds, MiB."""

    contender: str
    round: int
    wall: float
    cpu: float
    server_cpu: float
    memory: float


def play(scenario: Scenario, contenders: Sequence[str], rounds: int) -> list[Sample]:
    """All samples. A contender that fails ends the benchmark: a number without its work is none."""
    samples = []
    for number in range(rounds):
        for contender in rotated(contenders, number):
            sample = once(scenario, contender, number)
            samples.append(sample)
            rate = scenario.amount / sample.wall
            print(f"  round {number + 1}/{rounds} {contender}: {rate:,.0f} {scenario.unit}/s", file=sys.stderr)
    return samples


def once(scenario: Scenario, contender: str, number: int) -> Sample:
    """One run of one contender in round `number`, from the start and as the server's root."""
    scenario.reset()
    return measured(scenario, contender, number, CREDENTIALS)


def measured(scenario: Scenario, contender: str, number: int, who: Credentials) -> Sample:
    """The same from where the scenario stands, as somebody."""
    before = measure.cpu_of(scenario.server)
    environment = CONTENDERS[contender].environment(scenario.endpoint, who)
    usage = measure.run(scenario.command(contender), environment, scenario.timeout)
    server_cpu = measure.cpu_of(scenario.server) - before
    scenario.verify(usage.output)
    return Sample(contender, number, usage.wall, usage.cpu, server_cpu, usage.memory)
