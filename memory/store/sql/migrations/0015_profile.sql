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
    using (current_user <> 'echoic_api' or user_id = current_setting('echoic.user_id', true))
    with check (current_user <> 'echoic_api' or user_id = current_setting('echoic.user_id', true));

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
