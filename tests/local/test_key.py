"""`make key` on the tables of an AWS account in memory."""

import argparse
from datetime import timedelta

from local.key import _answer
from nightdesk.adapters.dynamodb.access_store import DynamoAccessStore
from nightdesk.adapters.system import SystemClock
from nightdesk.domain.api_key import credential_from


def run(command: str, **options: object) -> str:
    usual = {
        "workspace": "default",
        "agents": "",
        "operations": "read,write",
        "description": "CI",
        "rate": 600,
        "grace": 300,
    }
    return _answer(argparse.Namespace(command=command, **{**usual, **options}))


def is_good(text: str, after: timedelta = timedelta(0)) -> bool:
    credential = credential_from(text)
    assert credential is not None
    now = SystemClock().now() + after
    return DynamoAccessStore().use(credential, now=now) is not None


def test_a_key_is_made_listed_rotated_and_revoked(aws_tables: None) -> None:
    old = run("create", rate=7)
    key_id = old.split("_")[1]
    assert is_good(old)

    new = run("rotate", id=key_id, grace=60)

    assert new != old
    assert (is_good(old), is_good(new)) == (True, True)
    assert (is_good(old, timedelta(seconds=61)), is_good(new)) == (False, True)
    listed = run("list")
    assert key_id in listed
    assert "7/min" in listed
    assert new.rsplit("_", 1)[1] not in listed
    assert run("revoke", id=key_id) == f"{key_id} is revoked"
    assert not is_good(new)
