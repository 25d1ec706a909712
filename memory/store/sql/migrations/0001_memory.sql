-- Turns, facts and what is needed to find them again. Times are timestamptz; user ids are opaque.
create extension if not exists vector;

-- key 'embedding': "model:dimensions" of every stored vector; 'salt': makes erasure hashes of this database its own.
create table settings (key text primary key, value text not null);
insert into settings values ('salt', gen_random_uuid()::text);

-- One numbering for turns and facts, so that one postings table serves both.
create sequence memory_ref;

create table turns (
    turn_id     uuid primary key,
    ref         bigint not null unique default nextval('memory_ref'),
    user_id     text not null,
    agent_id    text not null,
    call_id     text not null,
    position    integer not null,
    role        text not null check (role in ('user', 'assistant')),
    text        text not null,
    said_at     timestamptz not null,
    interrupted boolean not null default false,
    state       text not null default 'open' check (state in ('open', 'learning', 'learned', 'dead')),
    recorded_at timestamptz not null default now()
);
create index turns_by_user on turns (user_id, said_at, position);
create index turns_open on turns (user_id, recorded_at) where state in ('open', 'learning');

-- The narrow half of a turn: all that ranking reads. halfvec: half the pages, and rounding (5e-4) below the model's own noise.
-- "vector" stays null until the turn has been embedded; the words are found at once.
create table turn_index (
    ref      bigint primary key references turns (ref) on delete cascade,
    user_id  text not null,
    agent_id text not null,
    call_no  bigint not null,   -- a hash of call_id: tells neighbours in one call, never read back
    position integer not null,
    words    integer not null,
    vector   halfvec
);
create index turn_index_by_user on turn_index (user_id);
create index turn_index_unembedded on turn_index (ref) where vector is null;

-- Mem0's own table (id, vector, payload), so that mem0.AsyncMemory reads it unchanged. The further columns are filled from the
-- payload by a trigger: search filters on them without parsing JSON. No vector index: an approximate one loses rows behind a filter.
create table facts (
    id          uuid primary key,
    vector      vector not null,
    payload     jsonb not null,
    ref         bigint not null unique default nextval('memory_ref'),
    user_id     text,
    agent_id    text,           -- null: seen by all agents of the user
    valid_until timestamptz,    -- in the past: closed
    words       integer not null default 0,
    sources     bigint[] not null default '{}'  -- refs of the turns it was learned from
) with (toast_tuple_target = 8160);  -- a vector and its payload come to just over 2 kB: moved out of line, a search took 0.6 ms longer
create index facts_by_user on facts (user_id);

create function facts_columns() returns trigger language plpgsql as $$
begin
    new.user_id := new.payload ->> 'user_id';
    new.agent_id := case when new.payload ->> 'scope' = 'agent' then new.payload ->> 'kept_by' end;
    new.valid_until := (new.payload ->> 'valid_until')::timestamptz;
    return new;
end $$;
create trigger facts_columns before insert or update of payload on facts for each row execute function facts_columns();

-- Which words (stems) stand in which turn or fact: BM25 reads a user's rows for the few terms of a question.
create table postings (
    user_id text not null,
    term    text not null,
    ref     bigint not null,
    tf      smallint not null,
    primary key (user_id, term, ref)
) with (autovacuum_vacuum_insert_scale_factor = 0.05);

-- Ledger: which turns were learned together, how often it was tried, and how it ended. One row a batch, for ever (no words in it).
create table batches (
    batch_id    uuid primary key,
    kind        text not null default 'learn',
    user_id     text not null,
    turn_ids    uuid[] not null,
    state       text not null default 'running' check (state in ('running', 'done', 'dead')),
    starts      integer not null default 0,
    failures    integer not null default 0,
    error       text,
    facts       integer not null default 0,
    created_at  timestamptz not null default now(),
    finished_at timestamptz
);
create index batches_unfinished on batches (user_id) where state <> 'done';

-- A person who was erased, as a salted hash: whatever was said before erased_at must not come back.
create table erasures (user_hash text primary key, erased_at timestamptz not null);

create function user_hash(user_id text) returns text language sql stable as
$$ select encode(sha256(convert_to((select value from settings where key = 'salt') || user_id, 'UTF8')), 'hex') $$;

-- Every writer holds this for its transaction: shared to write one user's rows, exclusive to erase them.
create function user_lock_key(user_id text) returns bigint language sql immutable as
$$ select hashtextextended(user_id, 20261121) $$;
