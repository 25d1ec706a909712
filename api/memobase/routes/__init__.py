"""The routes under `/api/v1`, by what they are about; `router` holds them all."""

from fastapi import APIRouter

from echoic.api.memobase.frame import PREFIX
from echoic.api.memobase.routes import blobs, context, events, health, profile, project, users

router = APIRouter(prefix=PREFIX, include_in_schema=False)
for part in (health, project, users, blobs, profile, events, context):
    router.include_router(part.router)
