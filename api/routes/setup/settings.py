"""Settings of one person, and of the system."""

from fastapi import APIRouter, Request, Response

from echoic.api.access.guard import Mind, Operates, Reads, UserId, WritesUnwalled
from echoic.api.routes.setup.versions import IfMatch, environment_of, needed, tag
from echoic.api.schemas.common import EDITS
from echoic.api.schemas.settings import (
    PersonSettings,
    PersonSettingsEdit,
    SystemAnswer,
    SystemChange,
    TrialAnswer,
    TrialBody,
)
from echoic.memory.settings.overrides import stored_in
from echoic.memory.settings.personal import PersonalStore
from echoic.memory.settings.system import change_system, read_system, tried
from echoic.memory.settings.trial import try_part

router = APIRouter(tags=["settings"])


@router.get("/users/{user_id:id}/settings")
async def read_user_settings(user_id: UserId, who: Reads, mind: Mind, response: Response) -> PersonSettings:
    """What one person has chosen for their memory; anybody has settings, also who has never called."""
    found = await PersonalStore(mind.db).read(user_id)
    tag(response, found.version)
    return PersonSettings.of(found, mind.settings.consent)


@router.patch("/users/{user_id:id}/settings", responses=EDITS)
async def change_user_settings(
    user_id: UserId,
    body: PersonSettingsEdit,
    who: WritesUnwalled,
    mind: Mind,
    response: Response,
    if_match: IfMatch = None,
) -> PersonSettings:
    """Change what one person has chosen; 412 when somebody else has changed it since it was read."""
    fields = {name: getattr(body, name) for name in body.model_fields_set}
    changed = await PersonalStore(mind.db).change(user_id, fields, version=needed(if_match))
    tag(response, changed.version)
    return PersonSettings.of(changed, mind.settings.consent)


@router.get("/settings")
async def read_settings(who: Operates, mind: Mind, request: Request, response: Response) -> SystemAnswer:
    """What the system uses to learn, embed and draw relations, and where each setting comes from."""
    found = await read_system(mind.db, environment_of(request))
    tag(response, found.version)
    return SystemAnswer.of(found)


@router.patch("/settings", responses=EDITS)
async def change_settings(
    body: SystemChange,
    who: Operates,
    mind: Mind,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> SystemAnswer:
    """Set some of them in the database; `vectors` says what another embedding model costs."""
    base = environment_of(request)
    found = await change_system(mind.db, base, body.changes(), version=needed(if_match))
    tag(response, found.version)
    return SystemAnswer.of(found)


@router.post("/settings/test")
async def test_settings(body: TrialBody, who: Operates, mind: Mind, request: Request) -> TrialAnswer:
    """Ask a model one cheap question, or a graph server who it is, and say what happened."""
    stored = await mind.db.run(stored_in)
    settings = tried(environment_of(request), stored, body.changes.changes())
    request.scope["echoic.give_back"]()  # others are answered meanwhile
    return TrialAnswer.model_validate(await try_part(settings, body.part))
