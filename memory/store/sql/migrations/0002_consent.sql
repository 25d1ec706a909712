-- What callers have asked of their memory: whether to keep it, and what must not come back.

-- The last answer to "may I remember?". By hash: a refusal outlives the erasure of the person, and says nothing about them.
create table consents (user_hash text primary key, granted boolean not null, given_at timestamptz not null);

-- Turns and facts that were forgotten: a copy that arrives later (spool, retry, another process) must stay away. No words in it.
create table forgotten (id uuid primary key, user_id text not null, forgotten_at timestamptz not null default now());
create index forgotten_by_user on forgotten (user_id);

-- Has this person asked not to be remembered? Then nothing new is kept of them, and nothing that waits is learned.
create function stopped(user_id text) returns boolean language sql stable as
$$ select exists (select from consents where consents.user_hash = user_hash(stopped.user_id) and not granted) $$;
