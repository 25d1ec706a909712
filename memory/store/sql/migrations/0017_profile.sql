-- Profiles by slot, and events: both are views on facts. A fact's slot stands in its payload (`topic`, `sub_topic`).

-- What happened: one row for each batch that taught or changed something. What it says is read from the facts that the batch changed;
-- here stand only what no fact knows, and what a person's hand wrote instead.
create table episodes (
    episode_id uuid primary key,                -- its batch's
    user_id    text not null,
    agent_id   text not null,
    call_id    text not null,
    began_at   timestamptz not null,            -- when its turns were said
    ended_at   timestamptz not null,
    tags       jsonb not null default '{}',     -- {"mood": "happy"}: what the model says of the whole
    summary    text,                            -- by hand; null: its facts tell it
    delta      jsonb,                           -- by hand; null: what the batch changed
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
);
create index episodes_by_user on episodes (user_id, ended_at, episode_id);
alter table episodes enable row level security;
create policy one_user on episodes
    using (current_user <> 'echoic_api' or user_id = any ((select nullif(current_setting('echoic.user_ids', true), '')::text[])::text[]))
    with check (current_user <> 'echoic_api' or user_id = any ((select nullif(current_setting('echoic.user_ids', true), '')::text[])::text[]));

-- What was learned before has happened too.
insert into episodes (episode_id, user_id, agent_id, call_id, began_at, ended_at, created_at, updated_at)
select batch_id, batches.user_id, min(turns.agent_id), min(call_id), min(said_at), max(said_at), created_at, created_at
from batches join turns on turns.user_id = batches.user_id and turn_id = any(turn_ids)
where kind = 'learn' and batches.state = 'done'
    and exists (select from fact_changes where fact_changes.batch_id = batches.batch_id and undone_at is null)
group by batch_id;

-- What learning asked of its model, for whoever pays for it.
alter table batches
    add column tokens_in  bigint not null default 0,
    add column tokens_out bigint not null default 0;

-- What a profile sorts by, beside what ranking reads: to read it from a thousand payloads took 4 ms.
alter table fact_index
    add column topic      text not null default '',
    add column sub_topic  text not null default '',
    add column importance real not null default 0.5;

create or replace function index_fact() returns trigger language plpgsql as $$
begin
    if new.user_id is null then
        delete from fact_index where ref = new.ref;
    else
        insert into fact_index (ref, user_id, agent_id, valid_until, words, sources, vector, topic, sub_topic, importance)
        values (new.ref, new.user_id, new.agent_id, new.valid_until, new.words, new.sources, new.vector,
            coalesce(new.payload ->> 'topic', ''), coalesce(new.payload ->> 'sub_topic', ''),
            coalesce((new.payload ->> 'importance')::real, 0.5))
        on conflict (ref) do update set user_id = excluded.user_id, agent_id = excluded.agent_id,
            valid_until = excluded.valid_until, words = excluded.words, sources = excluded.sources, vector = excluded.vector,
            topic = excluded.topic, sub_topic = excluded.sub_topic, importance = excluded.importance;
    end if;
    return null;
end $$;
update fact_index set topic = coalesce(payload ->> 'topic', ''), sub_topic = coalesce(payload ->> 'sub_topic', ''),
    importance = coalesce((payload ->> 'importance')::real, 0.5)
from facts where facts.ref = fact_index.ref;
