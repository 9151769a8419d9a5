"""What the requests bench adds up follows DynamoDB's rules, and its prices are dated."""

import json
from datetime import date
from typing import Any

import boto3
import pytest

from bench.requests.capacity import item_size, items_read, read_units, write_units
from bench.requests.meter import Bill, Made, Meter, bill_of, operations
from bench.requests.prices import FILE, Prices, heartbeats_at_most
from nightdesk.adapters.dynamodb.tables import TableNames

PRICES = Prices(
    date="2026-11-21",
    region="us-east-1",
    dynamodb_write_request_unit=4.0,
    dynamodb_read_request_unit=2.0,
    sqs_standard_request=1.0,
    lambda_request=0.0,
    lambda_gb_second_arm64=0.5,
    http_api_request=0.0,
    scheduler_invocation=0.0,
)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "abc"}, 3),
        ({"S": "\u00fc"}, 2),
        ({"B": b"abcd"}, 4),
        ({"BOOL": True}, 1),
        ({"N": "7"}, 2),
        ({"N": "1234567"}, 5),
        ({"N": "-12"}, 3),
        ({"N": "1000000"}, 2),
        ({"N": "0"}, 2),
    ],
    ids=str,
)
def test_an_item_is_as_large_as_its_names_and_values(value: dict[str, Any], size: int) -> None:
    assert item_size({"id": value}) == len("id") + size


def test_a_query_rounds_up_its_sum_and_costs_half_when_it_may_be_stale() -> None:
    items = [{"id": {"S": "x" * 2_000}}] * 3  # 6,006 bytes: two blocks

    assert read_units("Query", {}, {"Items": items}) == 1.0
    assert read_units("Query", {"ConsistentRead": True}, {"Items": items}) == 2.0
    assert read_units("Query", {}, {"Items": []}) == 0.5


def test_a_batch_rounds_up_each_item_and_pays_for_what_is_not_there() -> None:
    asked = {"RequestItems": {"tasks": {"Keys": [{}, {}, {}], "ConsistentRead": True}}}
    answer = {"Responses": {"tasks": [{"id": {"S": "x" * 5_000}}, {"id": {"S": "x"}}]}}

    assert read_units("BatchGetItem", asked, answer) == 2 + 1 + 1
    assert items_read("BatchGetItem", answer) == 2


def test_what_was_filtered_out_was_read_all_the_same() -> None:
    assert items_read("Query", {"Items": [], "Count": 0, "ScannedCount": 12}) == 12


def test_the_units_of_a_transaction_are_those_of_all_its_tables() -> None:
    assert write_units([{"CapacityUnits": 6.0}, {"CapacityUnits": 2.0}]) == 8.0
    assert write_units({"CapacityUnits": 1.0}) == 1.0


def test_a_bill_is_the_sum_of_its_requests_at_their_prices() -> None:
    made = [
        Made(service="dynamodb", operation="Query", reads=1.5),
        Made(service="dynamodb", operation="TransactWriteItems", writes=6.0),
        Made(service="sqs", operation="SendMessage"),
    ]

    bill = bill_of(made)

    assert bill == Bill(reads=1.5, writes=6.0, sqs=1)
    assert PRICES.of(bill) == 1.5 * 2 + 6 * 4 + 1
    assert PRICES.of(bill.times(2) + Bill(sqs=3)) == 2 * PRICES.of(bill) + 3
    assert operations([*made, made[0]]) == "Query x 2, TransactWriteItems, SendMessage"


def test_lambda_is_paid_by_gigabyte_second() -> None:
    assert PRICES.lambda_seconds(10, memory_mb=512) == 10 * 0.5 * 0.5


@pytest.mark.parametrize(
    ("steps", "seconds", "beats"), [(0, 300, 75), (10, 300, 66), (99, 300, 0), (1, 7.9, 0)]
)
def test_heartbeats_fill_the_waits_between_journal_entries(
    steps: int, seconds: float, beats: int
) -> None:
    assert heartbeats_at_most(steps, seconds, after_seconds=4) == beats


def test_the_prices_say_when_and_where_they_hold() -> None:
    prices = Prices.read()

    date.fromisoformat(prices.date)
    assert prices.region == "us-east-1"
    assert 0 < prices.dynamodb_read_request_unit < prices.dynamodb_write_request_unit
    assert "list prices" in json.loads(FILE.read_text())["note"].lower()


def test_the_meter_counts_requests_only_while_it_is_asked_to(aws_tables: TableNames) -> None:
    meter = Meter.installed()
    client = boto3.session.Session().client("dynamodb", region_name="eu-west-1")
    client.list_tables()

    with meter.measuring() as made:
        client.put_item(TableName=aws_tables.limits, Item={"id": {"S": "slot#0"}})
        client.get_item(TableName=aws_tables.limits, Key={"id": {"S": "slot#0"}})
    client.list_tables()

    assert [request.operation for request in made] == ["PutItem", "GetItem"]
    assert [request.items for request in made] == [0, 1]
    assert made[0].writes > 0
    assert made[1].reads == 0.5
    assert Meter.installed() is meter
