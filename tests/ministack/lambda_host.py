"""What Lambda is to an executor: it gives each message to a process of limited time and memory.

An executor that outgrows its memory or its time is SIGKILLed. One that ends without an answer,
however it ends, has failed: its message is left to come again.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from bench.kill import processes
from bench.kill.records import Recorder
from bench.kill.scripted_model import ScriptedModel
from nightdesk import bootstrap
from nightdesk.domain.model import CallControl, Message, ModelRequest, ModelTurn
from nightdesk.domain.task import Target
from nightdesk.domain.workspace_files import Snapshot
from nightdesk.services import answer_wake_up
from nightdesk.services.engine_ports import ExecutorPorts
from tests.handlers import FakeContext
from tests.ministack.mortal import (
    DEADLY_STEP,
    HAND_OVER_SECONDS,
    LONG_SECONDS,
    MEMORY_MIB,
    POLL_SECONDS,
    SHORT_SECONDS,
    Death,
    Ground,
    Orders,
)

answer_wake_up.HAND_OVER_MARGIN = timedelta(seconds=HAND_OVER_SECONDS)

_LOOK_EVERY_SECONDS = 0.02
_SWEEP_EVERY_SECONDS = 4.0  # as the minute is to the lease of 30 s
_STEPS, _THINK_SECONDS = DEADLY_STEP, 0.02
_MIB = 1 << 20
#: More than is allowed; so that a host that does not look harms nobody.
_HOARD_MIB = 4 * MEMORY_MIB
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_EXIT_STATUS = 3


# The host -------------------------------------------------------------------------------------


def run_host(ground: Ground, orders: Orders) -> None:
    """Take messages one at a time, and fork an executor for each."""
    setup = _setup(ground)
    sqs = processes.begin(setup, f"host-{os.getpid()}")
    recorder = Recorder(ground.records)
    queue_url = ground.environment["WAKE_UP_QUEUE_URL"]
    recorder.note("ready")
    parent = os.getppid()
    while not orders.ended.is_set() and os.getppid() == parent:
        answer = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=POLL_SECONDS,
            MessageSystemAttributeNames=["All"],
        )
        for message in answer.get("Messages", ()):
            seconds = SHORT_SECONDS if orders.hurried.is_set() else LONG_SECONDS
            if _is_answered(message, seconds, setup, recorder):
                processes.delete(sqs, queue_url, message)


def _is_answered(
    message: Mapping[str, Any], seconds: float, setup: processes.Setup, recorder: Recorder
) -> bool:
    """Fork an executor for the message; whether it said that the message is done with."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _execute(message, seconds, setup, writing)
    os.close(writing)
    killed_for, status = _watched(pid, seconds)
    with os.fdopen(reading) as answer:
        said = answer.read()
    if said:
        return not json.loads(said)["batchItemFailures"]
    code = os.waitstatus_to_exitcode(status)
    recorder.note("died", executor=pid, code=code, killed_for=killed_for)
    return False


def _watched(pid: int, seconds: float) -> tuple[str, int]:
    """Wait for the executor's end, or end it: what it was killed for ("" = nothing), its status."""
    end = time.monotonic() + seconds
    most = _resident_mib(pid) + MEMORY_MIB
    killed_for = ""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return killed_for, status
        if not killed_for:
            if time.monotonic() >= end:
                killed_for = Death.TIMEOUT
            elif _resident_mib(pid) > most:
                killed_for = Death.MEMORY
            if killed_for:
                os.kill(pid, signal.SIGKILL)
        time.sleep(_LOOK_EVERY_SECONDS)


def _resident_mib(pid: int) -> float:
    """Of a child that we have not waited for yet, so that its number is its own."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * _PAGE_BYTES / _MIB


def run_sweeper(ground: Ground) -> None:
    """What EventBridge Scheduler does, until it is killed or its parent is gone."""
    processes.run_sweeper(_setup(ground))


def _setup(ground: Ground) -> processes.Setup:
    return processes.Setup(
        environment=ground.environment,
        folder=ground.folder,
        steps=_STEPS,
        think_seconds=_THINK_SECONDS,
        sweep_every_seconds=_SWEEP_EVERY_SECONDS,
    )


# The executor ---------------------------------------------------------------------------------


def _execute(
    message: Mapping[str, Any], seconds: float, setup: processes.Setup, writing: int
) -> NoReturn:
    """The real handler, in a process that it does not leave by any other way."""
    try:
        recorder = Recorder(setup.records)
        ports = _deadly(processes.executor_ports(setup, recorder), recorder)
        bootstrap.executor = lambda: ports  # type: ignore[assignment]
        context = FakeContext(int(seconds * 1000))
        failed = processes.EXECUTOR.lambda_handler(processes.event_of(message), context)
        os.write(writing, json.dumps(failed).encode())
    except BaseException:  # noqa: BLE001 - the host tells a failure by the answer that is missing
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _deadly(ports: ExecutorPorts, recorder: Recorder) -> ExecutorPorts:
    harmless = ports.model
    assert isinstance(harmless, ScriptedModel)
    return replace(ports, model=DeadlyModel(harmless, recorder), snapshots=DeadlySnapshots())


class DeadlyModel:
    """`Model`; a session whose prompt names a death dies of it in its second step."""

    provider = "scripted"

    def __init__(self, harmless: ScriptedModel, recorder: Recorder) -> None:
        self._harmless = harmless
        self._recorder = recorder
        self.model_id = harmless.model_id

    def converse(self, request: ModelRequest, control: CallControl) -> ModelTurn:
        turn = self._harmless.converse(request, control)
        step = 1 + sum(1 for message in request.messages if message["role"] == "assistant")
        prompt = request.messages[0]["content"][0]["text"]
        if step == DEADLY_STEP:
            match prompt:
                case Death.MEMORY:
                    _hoard()
                case Death.TIMEOUT:
                    self._hang(control)
                case Death.EXIT:
                    return replace(turn, message=_call_of("list_files", step))
                case _:
                    pass  # an ordinary task
        return turn

    def _hang(self, control: CallControl) -> NoReturn:
        """As a library does that takes no notice of being cut; it only writes down that it was."""
        while not control.aborted:
            time.sleep(_LOOK_EVERY_SECONDS)
        self._recorder.note("cut")
        while True:
            time.sleep(_LOOK_EVERY_SECONDS)


def _hoard() -> None:
    """Take memory, and touch it, until the host puts an end to it."""
    hoard = []
    for _ in range(_HOARD_MIB // 4):
        hoard.append(b"x" * (4 * _MIB))
        time.sleep(_LOOK_EVERY_SECONDS / 4)


def _call_of(tool: str, step: int) -> Message:
    use = {"toolUseId": f"call-{step}", "name": tool, "input": {}}
    return {"role": "assistant", "content": [{"toolUse": use}]}


class DeadlySnapshots:
    """`Snapshots`; the tool that opens one, as a broken extension module would, takes all down."""

    def open(self, task_id: str, target: Target) -> AbstractContextManager[Snapshot]:
        del task_id, target
        os._exit(_EXIT_STATUS)
