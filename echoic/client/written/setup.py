"""Routes of the memory API: setup. Written by `tools/client.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from uuid import UUID

from echoic.client.connection import Routes
from echoic.client.request import UNSET, Ask, Unset, tag
from echoic.client.written.bodies import SystemEdit
from echoic.client.written.setup_answers import (
    KeyMade,
    KeysAnswer,
    KindsAnswer,
    ModelsAnswer,
    PersonSettings,
    ProviderAnswer,
    ProvidersAnswer,
    Reclaimed,
    SystemAnswer,
    TaskAnswer,
    TrialAnswer,
)


class Setup(Routes):
    """Each method is one route."""

    def read_user_settings(self, user_id: str) -> PersonSettings:
        """What one person has chosen for their memory; anybody has settings, also who has never called."""
        ask = Ask("GET", "/v1/users/{}/settings", (user_id,))
        found: PersonSettings = self._ask(ask, PersonSettings)
        return found

    def change_user_settings(
        self,
        user_id: str,
        *,
        version: str | None,
        memory: bool | Unset | None = UNSET,
        consent: Literal["on", "off"] | Unset | None = UNSET,
        retention_days: int | Unset | None = UNSET,
        language: str | Unset | None = UNSET,
        timezone: str | Unset | None = UNSET,
    ) -> PersonSettings:
        """Change what one person has chosen; 412 when somebody else has changed it since it was read."""
        ask = Ask(
            "PATCH",
            "/v1/users/{}/settings",
            (user_id,),
            headers={"if-match": tag(version)},
            body={
                "memory": memory,
                "consent": consent,
                "retention_days": retention_days,
                "language": language,
                "timezone": timezone,
            },
        )
        found: PersonSettings = self._ask(ask, PersonSettings)
        return found

    def read_settings(self) -> SystemAnswer:
        """What the system uses to learn, embed and draw relations, and where each setting comes from."""
        ask = Ask("GET", "/v1/settings")
        found: SystemAnswer = self._ask(ask, SystemAnswer)
        return found

    def change_settings(
        self,
        *,
        version: str | None,
        extractor: Literal["auto", "echoic", "mem0", "off"] | Unset | None = UNSET,
        llm_url: str | Unset | None = UNSET,
        llm_model: str | Unset | None = UNSET,
        llm_api_key: str | Unset | None = UNSET,
        embedding_url: str | Unset | None = UNSET,
        embedding_model: str | Unset | None = UNSET,
        embedding_dimensions: int | Unset | None = UNSET,
        embedding_api_key: str | Unset | None = UNSET,
        graph: Literal["on", "off"] | Unset | None = UNSET,
        falkordb_url: str | Unset | None = UNSET,
        neo4j_url: str | Unset | None = UNSET,
        neo4j_user: str | Unset | None = UNSET,
        neo4j_password: str | Unset | None = UNSET,
        neo4j_database: str | Unset | None = UNSET,
    ) -> SystemAnswer:
        """Set some of them in the database; `vectors` says what another embedding model costs."""
        ask = Ask(
            "PATCH",
            "/v1/settings",
            headers={"if-match": tag(version)},
            body={
                "extractor": extractor,
                "llm_url": llm_url,
                "llm_model": llm_model,
                "llm_api_key": llm_api_key,
                "embedding_url": embedding_url,
                "embedding_model": embedding_model,
                "embedding_dimensions": embedding_dimensions,
                "embedding_api_key": embedding_api_key,
                "graph": graph,
                "falkordb_url": falkordb_url,
                "neo4j_url": neo4j_url,
                "neo4j_user": neo4j_user,
                "neo4j_password": neo4j_password,
                "neo4j_database": neo4j_database,
            },
        )
        found: SystemAnswer = self._ask(ask, SystemAnswer)
        return found

    def test_settings(
        self, *, part: Literal["learning", "embedding", "graph"], changes: SystemEdit | Unset = UNSET
    ) -> TrialAnswer:
        """Ask a model one cheap question, or a graph server who it is, and say what happened."""
        ask = Ask("POST", "/v1/settings/test", body={"part": part, "changes": changes})
        found: TrialAnswer = self._ask(ask, TrialAnswer)
        return found

    def list_kinds(self) -> KindsAnswer:
        """Every sort of provider, with the fields that it needs."""
        ask = Ask("GET", "/v1/providers/kinds")
        found: KindsAnswer = self._ask(ask, KindsAnswer)
        return found

    def list_providers(self) -> ProvidersAnswer:
        """All providers, by kind and name."""
        ask = Ask("GET", "/v1/providers")
        found: ProvidersAnswer = self._ask(ask, ProvidersAnswer)
        return found

    def add_provider(
        self,
        *,
        kind: Literal["extractor", "embedder", "graph"],
        type: str,
        name: str,
        fields: Mapping[str, str | int | None] | Unset = UNSET,
        active: bool | Unset = UNSET,
    ) -> ProviderAnswer:
        """Keep a provider at hand, or use it at once."""
        ask = Ask(
            "POST",
            "/v1/providers",
            body={"kind": kind, "type": type, "name": name, "fields": fields, "active": active},
        )
        found: ProviderAnswer = self._ask(ask, ProviderAnswer)
        return found

    def read_provider(self, provider_id: UUID) -> ProviderAnswer:
        """One provider; of an embedder also what it takes to go over to it."""
        ask = Ask("GET", "/v1/providers/{}", (provider_id,))
        found: ProviderAnswer = self._ask(ask, ProviderAnswer)
        return found

    def change_provider(
        self,
        provider_id: UUID,
        *,
        version: str | None,
        name: str | Unset | None = UNSET,
        fields: Mapping[str, str | int | None] | Unset | None = UNSET,
        active: bool | Unset | None = UNSET,
    ) -> ProviderAnswer:
        """Change a provider, use it, or use none of its kind; the system's settings change with it."""
        ask = Ask(
            "PATCH",
            "/v1/providers/{}",
            (provider_id,),
            headers={"if-match": tag(version)},
            body={"name": name, "fields": fields, "active": active},
        )
        found: ProviderAnswer = self._ask(ask, ProviderAnswer)
        return found

    def delete_provider(self, provider_id: UUID) -> None:
        """Take a provider away; 409 while it is in use."""
        ask = Ask("DELETE", "/v1/providers/{}", (provider_id,))
        self._ask(ask, None)

    def list_model_files(self, *, check: bool = False) -> ModelsAnswer:
        """Every model file that Echoic can use on the machine that the API runs on."""
        ask = Ask("GET", "/v1/model-files", query={"check": check})
        found: ModelsAnswer = self._ask(ask, ModelsAnswer)
        return found

    def pull_model(self, name: str) -> TaskAnswer:
        """Fetch a model file; goes on where an earlier try was broken off. Follow the task."""
        ask = Ask("POST", "/v1/model-files/{}/pull", (name,))
        found: TaskAnswer = self._ask(ask, TaskAnswer)
        return found

    def remove_model(self, name: str) -> Reclaimed:
        """Remove a model file, with what a broken download has left of it."""
        ask = Ask("DELETE", "/v1/model-files/{}", (name,))
        found: Reclaimed = self._ask(ask, Reclaimed)
        return found

    def read_task(self, task_id: UUID) -> TaskAnswer:
        """How far something is that takes a while; this process remembers the last ones."""
        ask = Ask("GET", "/v1/tasks/{}", (task_id,))
        found: TaskAnswer = self._ask(ask, TaskAnswer)
        return found

    def list_keys(self) -> KeysAnswer:
        """All keys, oldest first, revoked ones included; not the keys themselves."""
        ask = Ask("GET", "/v1/keys")
        found: KeysAnswer = self._ask(ask, KeysAnswer)
        return found

    def add_key(
        self,
        *,
        name: str,
        role: Literal["admin", "service", "user"],
        user_id: str | Unset | None = UNSET,
        valid_days: int | Unset | None = UNSET,
    ) -> KeyMade:
        """Make a key. It is shown in this answer and never again: it is stored as a hash."""
        ask = Ask(
            "POST",
            "/v1/keys",
            body={"name": name, "role": role, "user_id": user_id, "valid_days": valid_days},
        )
        found: KeyMade = self._ask(ask, KeyMade)
        return found

    def revoke_key(self, key_id: UUID) -> None:
        """Refuse a key from now on; one's own too."""
        ask = Ask("DELETE", "/v1/keys/{}", (key_id,))
        self._ask(ask, None)
