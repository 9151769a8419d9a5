"""List prices of AWS from the dated file beside this one, and what a bill costs by them."""

import json
from dataclasses import dataclass
from pathlib import Path

from bench.requests.meter import Bill

FILE = Path(__file__).parent / "aws_prices.json"


@dataclass(frozen=True, kw_only=True)
class Prices:
    """US dollars a unit."""

    date: str
    region: str
    dynamodb_write_request_unit: float
    dynamodb_read_request_unit: float
    sqs_standard_request: float
    lambda_request: float
    lambda_gb_second_arm64: float
    http_api_request: float
    scheduler_invocation: float

    @classmethod
    def read(cls, file: Path = FILE) -> "Prices":
        known = json.loads(file.read_text(encoding="utf-8"))
        known.pop("note")
        return cls(**known)

    def of(self, bill: Bill) -> float:
        """DynamoDB and SQS."""
        return (
            bill.writes * self.dynamodb_write_request_unit
            + bill.reads * self.dynamodb_read_request_unit
            + bill.sqs * self.sqs_standard_request
        )

    def lambda_seconds(self, seconds: float, *, memory_mb: int) -> float:
        return seconds * memory_mb / 1024 * self.lambda_gb_second_arm64


def heartbeats_at_most(steps: int, seconds: float, *, after_seconds: float) -> int:
    """Heartbeats of a task whose journal entries are evenly spread: each wait between two of them
    has one for each `after_seconds` that it lasts.
    """
    wait = seconds / (steps + 1)
    return (steps + 1) * int(wait // after_seconds)
