-- Queries of users as other programs introduce them, of their documents, and of turns as the messages of a blob (labels: memobase.blob).
-- $1 is the user, unless it says otherwise: one id, since a program sees what it told itself.

-- name: add_user
-- $2 data. Nothing comes back when there is one.
insert into users (user_id, data) select $1, $2::jsonb
where not exists (select from turns where user_id = $1) and not exists (select from facts where user_id = $1)
on conflict (user_id) do nothing returning user_id

-- name: user_exists
select exists (select from users where user_id = $1) or exists (select from turns where user_id = $1)
    or exists (select from facts where user_id = $1)

-- name: user_row
-- Also of somebody who was never introduced, and of whom something is known.
select users.data::text, coalesce(users.created_at, known.at) as created_at, coalesce(users.updated_at, known.at) as updated_at
from (select least(
    (select min(recorded_at) from turns where user_id = $1),
    (select (payload ->> 'created_at')::timestamptz from facts where user_id = $1 order by ref limit 1)
) as at) known left join users on user_id = $1 where user_id is not null or known.at is not null

-- name: put_user_data
-- $2 data. Nothing comes back when nobody has this id; under the user's lock, so that nobody who is erased comes back.
insert into users (user_id, data) select $1, $2::jsonb
where exists (select from users where user_id = $1) or exists (select from turns where user_id = $1)
    or exists (select from facts where user_id = $1)
on conflict (user_id) do update set data = excluded.data, updated_at = clock_timestamp() returning user_id

-- name: export_introduction
select data::text as told, created_at, updated_at from users where user_id = $1

-- name: mark_flush
-- The same, if anything waits.
insert into users (user_id, flushed_at) select $1, clock_timestamp()
where exists (select from turns where user_id = $1 and state in ('open', 'learning'))
on conflict (user_id) do update set flushed_at = excluded.flushed_at

-- name: flush_runs
-- Whether something waits of what was to be learned at once, so many seconds ($2) ago at most.
select exists (
    select from users join turns using (user_id) where user_id = $1 and state in ('open', 'learning') and recorded_at <= flushed_at
        and flushed_at > clock_timestamp() - make_interval(secs => $2::float8)
) and not exists (
    select from batches where user_id = $1 and kind = 'learn' and state = 'running' and retry_at > now()
)

-- name: users_listed
-- Nobody's in particular: those who were introduced, and those with an id like theirs. $1 part of the id, lower case, or null $2 by what
-- $3 from the greatest $4 how many $5 after so many
with recursive ids as (
    select least((select min(user_id) from turns), (select min(user_id) from facts)) as user_id
    union all
    select least((select min(user_id) from turns where user_id > ids.user_id), (select min(user_id) from facts where user_id > ids.user_id))
    from ids where ids.user_id is not null
), everybody as (
    select user_id from users union select user_id from ids
    where user_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
), placed as (
    select everybody.user_id, data, coalesce(created_at, said.first) as created_at, greatest(updated_at, said.last) as updated_at,
        slots.profile_count, happened.event_count
    from everybody left join users using (user_id)
    cross join lateral (
        select min(recorded_at) as first, max(recorded_at) as last from turns where turns.user_id = everybody.user_id
    ) said
    cross join lateral (
        select count(distinct (topic, sub_topic)) as profile_count from fact_index
        where fact_index.user_id = everybody.user_id and (valid_until is null or valid_until > now())
    ) slots
    cross join lateral (select count(*) as event_count from episodes where episodes.user_id = everybody.user_id) happened
    where $1::text is null or position($1 in everybody.user_id) > 0
), ranked as (
    select *, case $2 when 'profile_count' then profile_count when 'event_count' then event_count
        else extract(epoch from updated_at) end * case when $3 then -1 else 1 end as place from placed
)
select user_id, data::text, coalesce(created_at, now()) as created_at, coalesce(updated_at, now()) as updated_at, profile_count, event_count,
    count(*) over () as every from ranked order by place, user_id limit $4 offset $5

-- name: blobs_page
-- The oldest first. $2 kind $3 how many $4 after so many
select id from (
    select labels #>> '{memobase,blob}' as id, min(recorded_at) as at from turns where user_id = $1 and $2 = 'chat' and labels ? 'memobase'
    group by 1
    union all select document_id::text, created_at from documents where user_id = $1 and kind = $2
) blobs order by at, id limit $3 offset $4

-- name: blobs_at_stage
-- Of what was told, the oldest first. $2 idle, processing, failed or done
select id from (
    select labels #>> '{memobase,blob}' as id, min(ref) as ref, case
        when bool_or(state = 'learning' or (state = 'open' and recorded_at <= flushed_at)) then 'processing'
        when bool_or(state = 'open') then 'idle' when bool_or(state = 'dead') then 'failed' else 'done' end as stage
    from turns left join users using (user_id) where user_id = $1 and labels ? 'memobase' group by 1
) blobs where stage = $2 order by ref

-- name: blob_turns
-- $2 the blob
select turn_id, role, text, said_at, recorded_at, labels::text from turns where user_id = $1 and labels #>> '{memobase,blob}' = $2
order by position

-- name: add_document
-- $2 id $3 kind $4 data $5 fields $6 when, or null
insert into documents (user_id, document_id, kind, data, fields, created_at)
values ($1, $2, $3, $4::jsonb, $5::jsonb, coalesce($6, clock_timestamp()))

-- name: read_document
-- $2 id
select kind, data::text, fields::text, created_at from documents where user_id = $1 and document_id = $2

-- name: delete_document
-- $2 id
delete from documents where user_id = $1 and document_id = $2

-- name: drop_old_documents
-- $2 kept before
delete from documents where user_id = $1 and created_at < $2

-- name: export_documents
select document_id, kind, data::text as told, fields::text, created_at from documents where user_id = $1 order by created_at

-- name: waiting_turns
-- Ids of what is not learned yet, and how many tokens it has.
select coalesce(array_agg(turn_id), '{}') as ids, coalesce(sum(length(text) / 4 + 1), 0)::bigint as tokens from turns
where user_id = $1 and state in ('open', 'learning')

-- name: learning_of_turns
-- How many of these turns ($2) wait, and whether their batch failed and rests before it is tried again.
select count(*) filter (where state in ('open', 'learning')) as waiting, exists (
    select from batches where batches.user_id = $1 and kind = 'learn' and state = 'running' and retry_at > now() and turn_ids && $2::uuid[]
) as rests, count(*) filter (where state = 'dead') as dead
from turns where user_id = $1 and turn_id = any($2)

-- name: batches_of_turns
-- That learned these turns ($2), in their order.
select batch_id from batches where user_id = $1 and kind = 'learn' and state = 'done' and turn_ids && $2::uuid[] order by created_at

-- name: slots_of_batch
-- Slots that a batch ($2) changed: whether all that stands there came with it, whether anything does. $3 now
with touched as (
    select distinct coalesce(payload ->> 'topic', '') as topic, coalesce(payload ->> 'sub_topic', '') as sub_topic
    from fact_changes join facts on facts.id = fact_id and facts.user_id = $1
    where fact_changes.user_id = $1 and batch_id = $2 and change in ('added', 'ended') and undone_at is null
)
select topic, sub_topic, bool_and(is_new) as added, count(live) = 0 as deleted from touched left join lateral (
    select ref as live, exists (select from fact_changes where fact_changes.user_id = $1 and fact_id = facts.id and batch_id = $2 and change = 'added') as is_new
    from facts where facts.user_id = $1 and coalesce(payload ->> 'topic', '') = touched.topic and coalesce(payload ->> 'sub_topic', '') = touched.sub_topic
        and (valid_until is null or valid_until > $3)
) there on true group by topic, sub_topic order by topic, sub_topic

-- name: usage_days
-- Nobody's in particular: what was told and what its learning cost, by day. $1 now $2 how many days
with told as (
    select day, sum(told) as told, sum(learned) as learned from (
        select (recorded_at at time zone 'UTC')::date as day, count(distinct labels #>> '{memobase,blob}') as told,
            count(distinct labels #>> '{memobase,blob}') filter (where state = 'learned') as learned
        from turns where recorded_at > $1::timestamptz - make_interval(days => $2) and labels ? 'memobase' group by 1
        union all select (created_at at time zone 'UTC')::date, count(*), count(*) from documents
        where created_at > $1::timestamptz - make_interval(days => $2) group by 1
    ) each group by day
), spent as (
    select (finished_at at time zone 'UTC')::date as day, sum(tokens_in) as tokens_in, sum(tokens_out) as tokens_out
    from batches where kind = 'learn' and state = 'done' and finished_at > $1::timestamptz - make_interval(days => $2) group by 1
)
select day, coalesce(told, 0)::bigint as told, coalesce(learned, 0)::bigint as learned, coalesce(tokens_in, 0)::bigint as tokens_in,
    coalesce(tokens_out, 0)::bigint as tokens_out from told full join spent using (day)

-- name: spent_since
-- Nobody's in particular: tokens of learning since $1.
select coalesce(sum(tokens_in + tokens_out), 0)::bigint from batches where kind = 'learn' and state = 'done' and finished_at >= $1

-- name: has_episode
-- $2 its batch
select exists (select from episodes where user_id = $1 and episode_id = $2)

-- name: likeness_of_facts
-- How near each live fact of a person is to a question, under any of their ids. $2 its vector, as it is asked of English $3 of the rest
select id, -(fact_index.vector <#> case when is_other_language(fact_index.vector)
    then (select $3::vector::halfvec) else (select $2::vector::halfvec) end) as likeness
from facts join fact_index using (ref) where facts.user_id = any(person_of($1))
