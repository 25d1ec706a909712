-- The ledger of the graph (tier 3): what each caller's graph holds and what it still lacks. The graphs themselves live in FalkorDB or
-- Neo4j, one for each caller and agent.

-- Written before anything is put into a graph: no row, no graph, and nobody asks the graph server about this caller.
create table graph_groups (
    group_id     text primary key,
    user_id      text not null,
    agent_id     text not null,
    mode         text not null default 'facts' check (mode in ('facts', 'episodes')),
    edges        integer not null default 0,
    digest       jsonb not null default '[]',   -- its most important live relations, for the start of a call
    refreshed_at timestamptz default now()      -- null: holds something that was forgotten meanwhile, and nobody asks it until that is gone
);
create index graph_groups_by_user on graph_groups (user_id);

-- What stands in a graph, and as what: an edge or node by a hash of all that it says, a turn by the episode it went into.
create table graph_entered (
    group_id text not null,
    id       uuid not null,
    kind     text not null check (kind in ('edge', 'node', 'turn')),
    version  text not null,
    user_id  text not null,
    primary key (group_id, id)
);
create index graph_entered_by_user on graph_entered (user_id);

-- Whose graph may be behind. Written in the transaction that learns or forgets; gone when the graph has caught up with that.
create table graph_due (
    user_id  text not null,
    agent_id text not null,
    asked_at timestamptz not null default clock_timestamp(),
    primary key (user_id, agent_id)
);
insert into graph_due (user_id, agent_id)
select distinct user_id, payload ->> 'kept_by' from facts where user_id is not null and coalesce(payload ->> 'kept_by', '') <> '';

-- What a batch of any kind cost, and for which agent a graph batch is.
alter table batches
    add column agent_id text,
    add column calls    integer not null default 0,
    add column tokens   bigint not null default 0;

-- What a model made of a batch, kept until it stands in the graph: a batch killed there is saved again, and not thought up again.
-- The only words in the ledger; they go with the batch, with a turn of it that is forgotten, and with the person.
create table graph_results (
    batch_id uuid primary key references batches (batch_id) on delete cascade,
    user_id  text not null,
    result   jsonb not null
);
create index graph_results_by_user on graph_results (user_id);

-- Graphs of erased people that their server has not removed yet. Nothing may be put into one of these before it is gone.
create table graph_erasures (
    group_id  text primary key,
    user_hash text not null,
    erased_at timestamptz not null default clock_timestamp()
);
create index graph_erasures_by_user on graph_erasures (user_hash);
