-- What was taken back stays so: of a call that was undone nothing is learned later, from wherever its turns arrive.
create table undone_calls (
    user_id   text not null,
    call_id   text not null,
    undone_at timestamptz not null default clock_timestamp(),
    primary key (user_id, call_id)
);
alter table undone_calls enable row level security;
create policy one_user on undone_calls
    using (current_user <> 'echoic_api' or user_id = any ((select nullif(current_setting('echoic.user_ids', true), '')::text[])::text[]))
    with check (current_user <> 'echoic_api' or user_id = any ((select nullif(current_setting('echoic.user_ids', true), '')::text[])::text[]));

-- Not to be learned again, whatever else is forgotten: its call was undone, or a fact that it taught was forgotten for itself.
alter table turns add column settled boolean not null default false;

-- A batch is of one call, and outlives its turns.
alter table batches add column call_id text;
update batches set call_id = (
    select call_id from turns where turns.user_id = batches.user_id and turn_id = any(turn_ids) limit 1
) where kind = 'learn';
create index batches_by_call on batches (call_id) where call_id is not null;

-- The fact that stands in the place of one that ended: while it does, the other stays ended.
alter table fact_changes add column replaced_by uuid;
