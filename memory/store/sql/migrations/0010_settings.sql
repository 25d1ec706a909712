-- What a person has chosen for their memory, and what an operator has chosen for the whole system.

-- Null: not chosen, what the system's settings say counts. Whether anything is kept of them stands in `consents`, by hash.
create table user_settings (
    user_id        text primary key,
    memory         boolean not null default true,  -- false: neither kept (`consents` says so too) nor recalled
    retention_days integer check (retention_days between 1 and 36500),  -- a nightly job of the worker carries it out
    language       text,        -- BCP 47
    timezone       text,        -- IANA
    updated_at     timestamptz not null default clock_timestamp()
);
alter table user_settings enable row level security;
create policy one_user on user_settings
    using (current_user <> 'echoic_api' or user_id = current_setting('echoic.user_id', true))
    with check (current_user <> 'echoic_api' or user_id = current_setting('echoic.user_id', true));

-- What counts instead of the environment: either a value that may be read, or a secret, encrypted with ECHOIC_SETTINGS_KEY.
create table system_settings (
    name       text primary key,
    value      jsonb,
    secret     bytea,
    updated_at timestamptz not null default clock_timestamp(),
    check ((value is null) <> (secret is null))
);

-- Models and graphs that can be chosen. To activate one writes its fields into system_settings. `secrets`: a JSON object, encrypted.
create table providers (
    provider_id  uuid primary key default gen_random_uuid(),
    kind         text not null check (kind in ('extractor', 'embedder', 'graph')),
    name         text not null check (name <> ''),
    type         text not null,
    fields       jsonb not null default '{}',
    secrets      bytea,
    secret_names text[] not null default '{}',
    active       boolean not null default false,
    created_at   timestamptz not null default clock_timestamp(),
    updated_at   timestamptz not null default clock_timestamp(),
    unique (kind, name)
);
create unique index providers_active on providers (kind) where active;
