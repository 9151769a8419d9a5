"""Ask a specialist something over A2A, with the official SDK, and follow the task to its end.

pip install a2a-sdk
NIGHTDESK_KEY=nd_… python ask.py https://<host>/a2a/issue-enricher "Where is the cache invalidated?"
"""

import asyncio
import os
import sys

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import GetTaskRequest, Message, Part, Role, SendMessageRequest, Task, TaskState

#: Nothing more happens by itself in these.
SETTLED = {
    TaskState.TASK_STATE_COMPLETED,
    TaskState.TASK_STATE_FAILED,
    TaskState.TASK_STATE_CANCELED,
    TaskState.TASK_STATE_INPUT_REQUIRED,
}
SECONDS_BETWEEN_LOOKS = 2


async def ask(agent_url: str, question: str, key: str) -> Task:
    """The task, ended or asking back."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(headers=headers, timeout=35) as http:
        card = await A2ACardResolver(http, agent_url).get_agent_card()
        # Polling: the send answers at once. Without it, it waits for up to 25 seconds.
        client = ClientFactory(ClientConfig(httpx_client=http, polling=True)).create(card)
        message = Message(message_id="1", role=Role.ROLE_USER, parts=[Part(text=question)])
        task = Task()
        async for answer in client.send_message(SendMessageRequest(message=message)):
            task = answer.task
        print(f"{card.name}: task {task.id}")
        while task.status.state not in SETTLED:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            task = await client.get_task(GetTaskRequest(id=task.id))
            doing = task.status.message.parts[0].text if task.status.message.parts else ""
            print(f"  {TaskState.Name(task.status.state)} {doing}")
        return task


def main() -> int:
    """Print the answer, or why there is none."""
    agent_url, question = sys.argv[1:3]
    task = asyncio.run(ask(agent_url, question, os.environ["NIGHTDESK_KEY"]))
    for artifact in task.artifacts:
        print("\n".join(part.text for part in artifact.parts if part.text))
    if task.status.state != TaskState.TASK_STATE_COMPLETED and task.status.message.parts:
        print(task.status.message.parts[0].text, file=sys.stderr)
    return 0 if task.status.state == TaskState.TASK_STATE_COMPLETED else 1


if __name__ == "__main__":
    sys.exit(main())
