"""Providers: models and graphs at hand, of which one of each kind is used."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from echoic.api.access.guard import Mind, Operates
from echoic.api.routes.setup.versions import IfMatch, environment_of, needed, tag
from echoic.api.schemas.common import EDITS
from echoic.api.schemas.settings import (
    KindAnswer,
    KindsAnswer,
    ProviderAnswer,
    ProviderChange,
    ProviderCreate,
    ProvidersAnswer,
)
from echoic.memory.settings import providers
from echoic.memory.settings.kinds import TYPES
from echoic.memory.settings.providers import Provider, ProviderEdit

router = APIRouter(prefix="/providers", tags=["providers"])


@router.get("/kinds")
async def list_kinds(who: Operates) -> KindsAnswer:
    """Every sort of provider, with the fields that it needs."""
    return KindsAnswer(items=[KindAnswer.of(sort) for sort in TYPES])


@router.get("")
async def list_providers(who: Operates, mind: Mind) -> ProvidersAnswer:
    """All providers, by kind and name."""
    found = await providers.list_providers(mind.db)
    return ProvidersAnswer(items=[ProviderAnswer.model_validate(one) for one in found])


@router.post("", status_code=201)
async def add_provider(
    body: ProviderCreate, who: Operates, mind: Mind, request: Request, response: Response
) -> ProviderAnswer:
    """Keep a provider at hand, or use it at once."""
    made = await providers.add_provider(
        mind.db,
        environment_of(request),
        body.kind,
        body.type,
        body.name,
        body.fields,
        active=body.active,
    )
    return _tagged(made, response)


@router.get("/{provider_id}")
async def read_provider(
    provider_id: UUID, who: Operates, mind: Mind, request: Request, response: Response
) -> ProviderAnswer:
    """One provider; of an embedder also what it takes to go over to it."""
    return _tagged(await providers.one_provider(mind.db, environment_of(request), provider_id), response)


@router.patch("/{provider_id}", responses=EDITS)
async def change_provider(
    provider_id: UUID,
    body: ProviderChange,
    who: Operates,
    mind: Mind,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> ProviderAnswer:
    """Change a provider, use it, or use none of its kind; the system's settings change with it."""
    edit = ProviderEdit(body.name, body.fields, body.active)
    base = environment_of(request)
    changed = await providers.change_provider(mind.db, base, provider_id, edit, version=needed(if_match))
    return _tagged(changed, response)


@router.delete("/{provider_id}", status_code=204)
async def delete_provider(provider_id: UUID, who: Operates, mind: Mind) -> None:
    """Take a provider away; 409 while it is in use."""
    await providers.delete_provider(mind.db, provider_id)


def _tagged(provider: Provider, response: Response) -> ProviderAnswer:
    tag(response, provider.version)
    return ProviderAnswer.model_validate(provider)
