-- People as another program introduces them, before anything is known about them, and texts that it keeps with them. Whoever speaks needs
-- no row here: a user is an id.
create table users (
    user_id    text primary key,
    data       jsonb,                           -- the program's own
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    flushed_at timestamptz                      -- when it last asked to have everything learned at once
);

-- What nobody said: it is kept, and no fact is learned from it.
create table documents (
    document_id uuid primary key,
    user_id     text not null,
    kind        text not null,
    data        jsonb not null,
    fields      jsonb,
    created_at  timestamptz not null default clock_timestamp()
);
create index documents_by_user on documents (user_id, created_at);

alter table users enable row level security;
create policy one_user on users
    using (current_user <> 'echoic_api' or user_id = any ((select nullif(current_setting('echoic.user_ids', true), '')::text[])::text[]))
    with check (current_user <> 'echoic_api' or user_id = any ((select nullif(current_setting('echoic.user_ids', true), '')::text[])::text[]));
alter table documents enable row level security;
create policy one_user on documents
    using (current_user <> 'echoic_api' or user_id = any ((select nullif(current_setting('echoic.user_ids', true), '')::text[])::text[]))
    with check (current_user <> 'echoic_api' or user_id = any ((select nullif(current_setting('echoic.user_ids', true), '')::text[])::text[]));
