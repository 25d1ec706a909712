-- What each fact rests on and whose it is, every change of a fact so that it can be undone, and when a failed batch may be tried again.
-- Graphs are fed from facts alone: those that a model read out of turns are removed at their server, and begun anew.

alter table facts
    add column about     text,   -- null: learned before this was asked; '': the caller; else role and name
    add column evidence  jsonb,  -- [{"turn_id": …, "quote": …}]
    add column precision text,
    add column kind      text not null default 'fact' check (kind in ('fact', 'promise')),
    add column due       timestamptz;

create or replace function facts_columns() returns trigger language plpgsql as $$
begin
    new.user_id := new.payload ->> 'user_id';
    new.agent_id := case when new.payload ->> 'scope' = 'agent' then new.payload ->> 'kept_by' end;
    new.valid_until := (new.payload ->> 'valid_until')::timestamptz;
    new.about := case when new.payload ? 'about' then
        trim(concat_ws(' ', nullif(new.payload #>> '{about,role}', ''), nullif(new.payload #>> '{about,name}', ''))) end;
    new.evidence := new.payload -> 'evidence';
    new.precision := nullif(new.payload ->> 'precision', '');
    new.kind := coalesce(new.payload ->> 'kind', 'fact');
    new.due := (new.payload ->> 'due')::timestamptz;
    if new.payload -> 'turn_ids' is distinct from old.payload -> 'turn_ids' then
        new.sources := coalesce((
            select array_agg(ref order by ref) from turns join jsonb_array_elements_text(new.payload -> 'turn_ids') as one (id)
            on turns.turn_id = one.id::uuid where turns.user_id = new.user_id
        ), '{}');
    end if;
    return new;
end $$;
create index facts_due on facts (user_id, due) where kind = 'promise';

-- One row for each change of a fact, in the transaction that makes it. `before` is the payload that it had; null for one that is new.
-- Words stand here: the rows go with the fact that is forgotten, and with the person.
create table fact_changes (
    change_id  bigint generated always as identity primary key,
    user_id    text not null,
    fact_id    uuid not null,
    batch_id   uuid,           -- null: changed by hand
    change     text not null check (change in ('added', 'ended', 'confirmed', 'edited', 'removed')),
    before     jsonb,
    by_whom    text not null default 'learning',
    changed_at timestamptz not null default clock_timestamp(),
    undone_at  timestamptz
);
create function without_quotes(payload jsonb, turn_ids uuid[]) returns jsonb language sql immutable as $$
    select case when payload ? 'evidence' then jsonb_set(payload, '{evidence}', coalesce((
        select jsonb_agg(one order by place) from jsonb_array_elements(payload -> 'evidence') with ordinality as all_of (one, place)
        where (one ->> 'turn_id')::uuid <> all(turn_ids)
    ), '[]')) else payload end
$$;
create index fact_changes_by_user on fact_changes (user_id, changed_at);
create index fact_changes_by_batch on fact_changes (batch_id);

-- A batch that failed waits before it is tried again: an outage of its kind is not used up in one go.
alter table batches add column retry_at timestamptz;

-- Where the caller was when they said it, as an IANA name: "Saturday" is their Saturday.
alter table turns add column timezone text not null default '';

with void as (
    delete from graph_groups where mode = 'episodes' returning user_id, agent_id, group_id
), due as (
    insert into graph_due (user_id, agent_id) select user_id, agent_id from void on conflict (user_id, agent_id) do nothing
)
insert into graph_erasures (group_id, user_hash) select group_id, user_hash(user_id) from void on conflict (group_id) do nothing;
delete from graph_entered where not exists (select from graph_groups where graph_groups.group_id = graph_entered.group_id);
drop table graph_results;
alter table graph_groups drop column mode;
alter table graph_entered drop constraint graph_entered_kind_check;
alter table graph_entered add constraint graph_entered_kind_check check (kind in ('edge', 'node'));
alter table batches drop column calls, drop column tokens;
