"""Model files of this machine: which are there, fetching one, and removing it."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from echoic.api.access.guard import PREFIX, Operates
from echoic.api.problems import Problem
from echoic.api.schemas.settings import ModelAnswer, ModelsAnswer, Reclaimed, TaskAnswer
from echoic.api.tasks import Task, Tasks
from echoic.memory.settings.model_files import ModelShelf

router = APIRouter(tags=["models"])


def shelf_of(request: Request) -> ModelShelf:
    """The model files of this machine."""
    shelf: ModelShelf | None = request.app.state.shelf
    if shelf is None:
        raise Problem(409, "no-model-files", "This API knows of no model files: `echoic api` does.")
    return shelf


def tasks_of(request: Request) -> Tasks:
    """What takes a while in this process."""
    tasks: Tasks = request.app.state.tasks
    return tasks


Shelf = Annotated[ModelShelf, Depends(shelf_of)]
Running = Annotated[Tasks, Depends(tasks_of)]
ModelName = Annotated[
    str, Path(max_length=200, description="As `GET /v1/model-files` names it.", examples=["smollm2"])
]


@router.get("/model-files")
async def list_model_files(
    who: Operates,
    shelf: Shelf,
    check: Annotated[bool, Query(description="Read every file to the end and compare its SHA-256.")] = False,
) -> ModelsAnswer:
    """Every model file that Echoic can use on the machine that the API runs on."""
    found = await asyncio.to_thread(shelf.files, check=check)
    return ModelsAnswer(items=[ModelAnswer.model_validate(one) for one in found])


@router.post("/model-files/{name}/pull", status_code=202)
async def pull_model(
    name: ModelName, who: Operates, shelf: Shelf, tasks: Running, response: Response
) -> TaskAnswer:
    """Fetch a model file; goes on where an earlier try was broken off. Follow the task."""
    shelf.check_pullable(name)
    task = tasks.start(f"pull {name}", lambda on_progress: shelf.pull(name, on_progress))
    response.headers["Location"] = _place(task)
    return _answered(task)


@router.delete("/model-files/{name}")
async def remove_model(name: ModelName, who: Operates, shelf: Shelf) -> Reclaimed:
    """Remove a model file, with what a broken download has left of it."""
    return Reclaimed(reclaimed_bytes=await asyncio.to_thread(shelf.remove, name))


@router.get("/tasks/{task_id}")
async def read_task(task_id: UUID, who: Operates, tasks: Running) -> TaskAnswer:
    """How far something is that takes a while; this process remembers the last ones."""
    task = tasks.find(task_id)
    if task is None:
        raise Problem(
            404, "task-unknown", "There is no such task here: it is of another process, or long past."
        )
    return _answered(task)


def _answered(task: Task) -> TaskAnswer:
    return TaskAnswer(
        task_id=task.task_id,
        what=task.what,
        state=task.state,
        done=task.done,
        total=task.total,
        sentence=task.sentence,
        follow=_place(task),
    )


def _place(task: Task) -> str:
    return f"{PREFIX}/tasks/{task.task_id}"
