"""Bring everything up, show the main job from issue to comment, and take everything down."""

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType

import botocore.session

from local.api_client import ApiClient
from local.bedrock_gateway import BedrockGateway
from local.children import Children
from local.choices import GithubChoice, ModelChoice, choose_github, choose_model
from local.cloud import ACCOUNT, REGION, inherited_environment, start_cloud
from local.deploy import Deployment, deploy
from local.errors import LocalRunError
from local.follow import follow_task
from local.front_door import FrontDoor
from local.key import RUN_FILE
from local.logs import LogTail
from local.ports import claim_port
from local.screen import Screen
from local.simulator import Simulator, start_simulator
from local.stage import SAMPLE_ISSUE, Scene, read_issue, set_scene

WORKSPACE = "default"
#: The default timeout of a task is 5 minutes; a few more for waiting and retries.
TASK_SECONDS = 600.0
#: What a poll finds is a task at once; the feed itself may be a second late.
POLLS = 10
WATCH_SECONDS = 2.0
READ_TOKEN, WRITE_TOKEN = "/nightdesk/github/read-token", "/nightdesk/github/write-token"
MODEL_KEY = "/nightdesk/model/api-key"
CALLBACK_KEY = "/nightdesk/callback-key"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for on the command line."""

    stays: bool
    port: int
    repo: Path | None
    issue: Path | None
    root: Path
    logs: Path


@dataclass(frozen=True, kw_only=True)
class Nightdesk:
    """Everything that runs, and how to reach it."""

    url: str
    key: str
    api: ApiClient
    deployment: Deployment
    simulator: Simulator | None


def run(options: Options, environment: Mapping[str, str], screen: Screen) -> None:
    """Show the main job once; with `stays`, go on showing what comes until interrupted.

    Raises:
        LocalRunError: something cannot start, or the job did not end with a comment.
    """
    model = choose_model(environment)
    github = choose_github(environment, own_repository=options.repo is not None)
    with running(options, model, github, screen, environment) as nightdesk:
        seen: set[str] = set()
        if nightdesk.simulator is None:
            _first_poll(nightdesk, screen)
            _watch(nightdesk, options, screen, seen, github.repos)
            return
        _main_job(nightdesk, nightdesk.simulator, options, screen, seen)
        _how_to_go_on(nightdesk, nightdesk.simulator, screen, options)
        if options.stays:
            _watch(nightdesk, options, screen, seen, nightdesk.simulator.repository)


@contextlib.contextmanager
def running(
    options: Options,
    model: ModelChoice,
    github: GithubChoice,
    screen: Screen,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Nightdesk]:
    """Everything up; whatever happens, all processes and temporary files are gone afterwards."""
    front_port = claim_port(options.port, what="the API")
    simulator_port = claim_port(options.port and options.port + 1, what="the GitHub simulator")
    _empty(options.logs)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nightdesk-")))
        scene = None if github.is_real else _scene(options, folder)
        children = Children(options.logs)
        stack.callback(children.end_all)
        cloud = start_cloud(children, root=options.root, folder=folder)
        screen.step("cloud", f"MiniStack on {cloud.endpoint}, in memory: gone when this ends")
        simulator = _github(
            children,
            scene=scene,
            github=github,
            options=options,
            folder=folder,
            port=simulator_port,
            screen=screen,
        )
        parameters = _parameters(simulator, github, model, options, front_port) | dict(
            model.parameters
        )
        if model.provider == "bedrock":
            gateway = BedrockGateway(
                botocore.session.Session(),
                region=environment.get("AWS_REGION"),
                endpoint=environment.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
            )
            stack.callback(gateway.close)
            parameters["BedrockEndpointUrl"] = gateway.url
        _show_model(model, screen)
        screen.now("packaging and deploying template.yaml")
        deployment = deploy(cloud, root=options.root, folder=folder, parameters=parameters)
        screen.quiet()
        screen.step("deployed", f"template.yaml, {deployment.resources} resources")
        _put_secrets(deployment, simulator, github, model)
        tail = LogTail(deployment.client("logs"), prefix="/nightdesk/", folder=options.logs)
        tail.start()
        stack.callback(tail.stop)
        key = _make_key(deployment, options, stack)
        door = FrontDoor(front_port, target=deployment.api_path)
        stack.callback(door.close)
        screen.step("api", f"{door.url}/api   logs: {_relative(options.logs)}/")
        yield Nightdesk(
            url=door.url,
            key=key,
            api=ApiClient(door.url, key),
            deployment=deployment,
            simulator=simulator,
        )


def _empty(logs: Path) -> None:
    logs.mkdir(parents=True, exist_ok=True)
    for log in logs.glob("*.log"):
        log.unlink()


def _scene(options: Options, folder: Path) -> Scene:
    return set_scene(repo=options.repo, issue=options.issue, folder=folder)


def _github(
    children: Children,
    *,
    scene: Scene | None,
    github: GithubChoice,
    options: Options,
    folder: Path,
    port: int,
    screen: Screen,
) -> Simulator | None:
    if scene is None:
        screen.step("github", f"the REAL GitHub ({github.api_url}): {github.repos}")
        screen.step("", "comments are written there, as the owner of GITHUB_TOKEN")
        return None
    simulator = start_simulator(children, scene, root=options.root, folder=folder, port=port)
    origin = f" from {scene.path}" if options.repo else ""
    shown = f"{scene.name}{origin}, {scene.commits} commits"
    screen.step("github", f"simulator on {simulator.url}: {shown}")
    if github.note:
        screen.step("", github.note)
    return simulator


def _show_model(model: ModelChoice, screen: Screen) -> None:
    if model.provider == "offline":
        screen.step("model", f"none ({model.why}): the offline planner locates, it does not write")
        screen.step(
            "", "a real one: ANTHROPIC_API_KEY, OPENAI_API_KEY/OPENAI_BASE_URL or AWS_PROFILE"
        )
    else:
        screen.step("model", f"{model.provider} ({model.why})")


def _parameters(
    simulator: Simulator | None,
    github: GithubChoice,
    model: ModelChoice,
    options: Options,
    front_port: int,
) -> dict[str, str]:
    return {
        "Profile": "local",
        "A2aPublicUrl": f"http://127.0.0.1:{front_port}",
        "A2aDefaultAgent": "issue-enricher",
        "Arch": "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64",
        "SpecialistsDir": str(options.root / "specialists"),
        "GithubPollingRepos": simulator.repository if simulator else github.repos,
        "GithubPollingIntervalMinutes": "1",
        "GithubApiUrl": simulator.url if simulator else github.api_url,
        "GithubReadTokenParameter": READ_TOKEN,
        "GithubWriteTokenParameter": WRITE_TOKEN,
        "CallbackKeyParameter": CALLBACK_KEY,
        "ModelProvider": model.provider,
        "ModelApiKeyParameter": MODEL_KEY,
        "DefaultWorkspaceId": WORKSPACE,
    }


def _put_secrets(
    deployment: Deployment, simulator: Simulator | None, github: GithubChoice, model: ModelChoice
) -> None:
    secrets = {
        READ_TOKEN: simulator.read_token if simulator else github.token,
        WRITE_TOKEN: simulator.write_token if simulator else github.token,
        MODEL_KEY: model.key,
        CALLBACK_KEY: token_hex(32),
    }
    parameters = deployment.client("ssm")
    for name, value in secrets.items():
        if value:
            parameters.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def _make_key(deployment: Deployment, options: Options, stack: contextlib.ExitStack) -> str:
    """Let `make key` find this run, and make the first key as it does."""
    aws = {
        "AWS_ENDPOINT_URL": deployment.cloud.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": deployment.cloud.secret,
    }
    file = options.logs.parent / RUN_FILE.name
    file.write_text(
        json.dumps({"aws": aws, "accessTable": deployment.outputs["AccessTable"]}),
        encoding="utf-8",
    )
    stack.callback(file.unlink, missing_ok=True)
    command = [
        sys.executable, "-m", "local.key", "--run-file", str(file), "--workspace", WORKSPACE,
        "create", "--operations", "admin", "--rate", "6000", "--description", "local run",
    ]  # fmt: skip
    path = os.pathsep.join((str(options.root), str(options.root / "layers" / "nightdesk")))
    result = subprocess.run(
        command,
        cwd=options.root,
        capture_output=True,
        text=True,
        check=False,
        env=inherited_environment() | {"PYTHONPATH": path},
    )
    if result.returncode:
        raise LocalRunError(f"No API key could be made: {result.stderr.strip()[-500:]}")
    return result.stdout.strip()


def _main_job(
    nightdesk: Nightdesk,
    simulator: Simulator,
    options: Options,
    screen: Screen,
    seen: set[str],
) -> None:
    text = read_issue(options.issue or SAMPLE_ISSUE)
    _first_poll(nightdesk, screen)
    issue = simulator.open_issue(text)
    screen.step("issue", f"#{issue['number']} opened: {issue['title']}")
    screen.step("", str(issue["html_url"]))
    task_id = _poll_until_there_is_a_task(nightdesk, screen, seen)
    seen.add(task_id)
    outcome = follow_task(nightdesk.api, task_id, screen, within_seconds=TASK_SECONDS)
    comments = simulator.comments(int(issue["number"]))
    if not comments:
        raise LocalRunError(f"Published at {outcome.url}, but the issue shows no comment.")
    screen.step("comment", outcome.url)
    screen.markdown(str(comments[-1]["body"]))


def _first_poll(nightdesk: Nightdesk, screen: Screen) -> None:
    for result in nightdesk.api.poll_github()["results"]:
        if result.get("error"):
            raise LocalRunError(f"Polling {result['repo']} failed: {result['error']}")
    screen.step("poll", "the first poll only looks: what happened before it is old")


def _poll_until_there_is_a_task(nightdesk: Nightdesk, screen: Screen, seen: set[str]) -> str:
    answer: object = {}
    for _ in range(POLLS):
        answer = nightdesk.api.poll_github()
        for task in nightdesk.api.tasks(WORKSPACE):
            if task["id"] not in seen:
                screen.step("poll", f"created task {task['id']} for {task['agentId']}")
                return str(task["id"])
        time.sleep(1)
    raise LocalRunError(f"The poller did not pick the issue up: {json.dumps(answer)}")


def _how_to_go_on(
    nightdesk: Nightdesk, simulator: Simulator, screen: Screen, options: Options
) -> None:
    if not options.stays:
        return
    screen.plain()
    screen.plain("Read the tasks:")
    screen.plain(
        f"  curl -s -H 'Authorization: Bearer {nightdesk.key}' "
        f"'{nightdesk.url}/api/background-tasks?workspaceId={WORKSPACE}'"
    )
    screen.plain("Open another issue (it is picked up within a minute):")
    screen.plain(f"  {simulator.issue_command()}")
    screen.plain("Open a pull request, which is reviewed:")
    screen.plain(f"  {simulator.pull_command()}")
    screen.plain("Another API key: make key        End: Ctrl-C")
    screen.plain()


def _watch(
    nightdesk: Nightdesk, options: Options, screen: Screen, seen: set[str], repos: str
) -> None:
    """Show each new task; `demo` ends after the first."""
    for task in nightdesk.api.tasks(WORKSPACE):
        seen.add(str(task["id"]))
    while True:
        screen.now(f"waiting for new issues in {repos}")
        for task in nightdesk.api.tasks(WORKSPACE):
            task_id = str(task["id"])
            if task_id in seen:
                continue
            seen.add(task_id)
            screen.quiet()
            screen.step("task", f"{task_id}: {task['title']}")
            try:
                outcome = follow_task(nightdesk.api, task_id, screen, within_seconds=TASK_SECONDS)
            except LocalRunError as error:
                if not options.stays:
                    raise
                screen.error(str(error))
                continue
            screen.step("comment", outcome.url)
            if not options.stays:
                return
        time.sleep(WATCH_SECONDS)


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
