"""A signed webhook through the deployed route, function and role makes a task."""

import json

import pytest
import requests

from local.run import Nightdesk
from tests.webhook.world import issue, payload, signature

pytestmark = pytest.mark.ministack

SECRET = "deployed-webhook-CANARY"


def deliver(nightdesk: Nightdesk, body: bytes, signed: str) -> requests.Response:
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-Hub-Signature-256": signed,
    }
    url = f"{nightdesk.url}/api/webhooks/github"
    return requests.post(url, data=body, headers=headers, timeout=35)


def test_a_signed_webhook_makes_one_task_and_leaves_its_reason(nightdesk: Nightdesk) -> None:
    deployment = nightdesk.deployment
    function = deployment.outputs["GithubWebhookFunction"]
    configuration = deployment.client("lambda").get_function_configuration(FunctionName=function)
    variables = configuration["Environment"]["Variables"]
    repo = variables["GITHUB_POLLING_REPOS"].split(",")[0]
    assert repo
    sent = payload("opened", issue=issue(912_345, labels=[{"name": "enricher"}]))
    sent["repository"] = {"id": 987_654, "full_name": repo}
    body = json.dumps(sent).encode()

    deployment.client("ssm").put_parameter(
        Name=variables["GITHUB_WEBHOOK_SECRET_PARAMETER"],
        Value=SECRET,
        Type="SecureString",
        Overwrite=True,
    )

    made = deliver(nightdesk, body, signature(body, SECRET))
    again = deliver(nightdesk, body, signature(body, SECRET))
    refused = deliver(nightdesk, body, signature(body, "another"))

    assert (made.status_code, len(made.json()["taskIds"])) == (202, 1), made.text
    assert (again.status_code, again.json()["ignored"]) == (202, "already_started"), again.text
    assert refused.status_code == 401
    shown = requests.get(
        f"{nightdesk.url}/api/github/decisions",
        params={"repo": repo, "number": "912345"},
        headers={"Authorization": f"Bearer {nightdesk.key}"},
        timeout=35,
    )
    outcomes = [row["outcome"] for row in shown.json()["decisions"]]
    assert {"already_started", "task"} <= set(outcomes)
