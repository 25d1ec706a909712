-- What a nightly job of the worker has done, so that it can be undone: facts that are too old or that another one says, and topics
-- that differed in case or spacing only.

-- Out of use, and not deleted yet: no recall, list or graph sees them. Without the vector, which an undo makes anew. Not named
-- "payload", which would be a table of Mem0's.
create table archived_facts (
    id          uuid primary key,
    user_id     text not null,
    ref         bigint not null,   -- its place among facts and turns, taken again by an undo
    fact        jsonb not null,
    run_id      uuid not null,
    merged_into uuid,              -- the fact that says the same; null: it was too old
    archived_at timestamptz not null default clock_timestamp()
);
create index archived_facts_by_user on archived_facts (user_id);
create index archived_facts_by_time on archived_facts (archived_at);

-- One row for each person and night in which something was done. Counts, no words.
create table maintenance_runs (
    run_id    uuid primary key,
    user_id   text not null,
    ran_at    timestamptz not null default clock_timestamp(),
    archived  integer not null,
    merged    integer not null,
    refiled   integer not null,
    turns     integer not null,    -- deleted; the one thing that cannot be undone
    undone_at timestamptz
);
create index maintenance_runs_by_user on maintenance_runs (user_id);
create index maintenance_runs_by_time on maintenance_runs (ran_at);

do $$
declare
    one text;
    mine text := '(current_user <> ''echoic_api'' or user_id = current_setting(''echoic.user_id'', true))';
begin
    foreach one in array array['archived_facts', 'maintenance_runs'] loop
        execute format('alter table %I enable row level security', one);
        execute format('create policy one_user on %I using %s with check %s', one, mine, mine);
    end loop;
end $$;

alter table fact_changes drop constraint fact_changes_change_check;
alter table fact_changes add constraint fact_changes_change_check
    check (change in ('added', 'ended', 'confirmed', 'edited', 'removed', 'archived', 'merged', 'refiled'));
