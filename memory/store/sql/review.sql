-- Queries of memory/review and of the API: pages of what is remembered, and who asked for them. $1 is the user, unless it says otherwise;
-- lists are of all ids of the person.

-- name: users_page
-- $1 part of the id, lower case, or null $2 after this id $3 how many. The next id is looked up in the indexes, again and again until
-- there are enough: to read all rows of 50 people for their ids took nearly half of the time. Counted for the page alone.
with recursive ids as (
    select least((select min(user_id) from turns where user_id > $2), (select min(user_id) from facts where user_id > $2)) as user_id
    union all
    select least((select min(user_id) from turns where user_id > ids.user_id), (select min(user_id) from facts where user_id > ids.user_id))
    from ids where ids.user_id is not null
), page as (
    select user_id from ids where user_id is not null and ($1::text is null or position($1 in lower(user_id)) > 0) limit $3
)
select page.user_id, said.turns, said.open_turns, said.last_at, known.facts from page
cross join lateral (
    select count(*) as turns, count(*) filter (where state in ('open', 'learning')) as open_turns, max(said_at) as last_at
    from turns where turns.user_id = page.user_id
) said
cross join lateral (select count(*) as facts from facts where facts.user_id = page.user_id) known order by page.user_id

-- name: users_page_latest
-- As users_page, those first of whom something was recorded last. $2 before this place, or null $3 how many
with recursive ids as (
    select least((select min(user_id) from turns where user_id > ''), (select min(user_id) from facts where user_id > '')) as user_id
    union all
    select least((select min(user_id) from turns where user_id > ids.user_id), (select min(user_id) from facts where user_id > ids.user_id))
    from ids where ids.user_id is not null
), placed as (
    select user_id, greatest(
        (select ref from turns where turns.user_id = ids.user_id order by turns.user_id desc, ref desc limit 1),
        (select ref from facts where facts.user_id = ids.user_id order by facts.user_id desc, ref desc limit 1)
    ) as place from ids where user_id is not null and ($1::text is null or position($1 in lower(user_id)) > 0)
), page as (
    select place, user_id from placed where $2::bigint is null or place < $2 order by place desc limit $3
)
select page.place, page.user_id, said.turns, said.open_turns, said.last_at, known.facts from page
cross join lateral (
    select count(*) as turns, count(*) filter (where state in ('open', 'learning')) as open_turns, max(said_at) as last_at
    from turns where turns.user_id = page.user_id
) said
cross join lateral (select count(*) as facts from facts where facts.user_id = page.user_id) known order by page.place desc

-- name: read_user
select $1::text as user_id, (select count(*) from facts where user_id = any(person_of($1))) as facts, count(*) as turns,
    count(*) filter (where state in ('open', 'learning')) as open_turns, max(said_at) as last_at
from turns where user_id = any(person_of($1))

-- name: facts_page
-- Newest first. $2 agent that keeps it $3 scope $4 topic $5 about: '' is the caller $6 words in it, lower case; each null: any
-- $7 live, ended or all $8 at this time $9 before this ref, or null $10 how many $11 learned from a turn of this call, or null
select ref, id, payload::text from facts
where user_id = any(person_of($1)) and ($2::text is null or payload ->> 'kept_by' = $2) and ($3::text is null or coalesce(payload ->> 'scope', 'user') = $3)
    and ($4::text is null or payload ->> 'topic' = $4) and ($5::text is null or about = $5)
    and ($6::text is null or position($6 in lower(payload ->> 'data')) > 0)
    and case $7 when 'all' then true
        when 'ended' then valid_until <= $8
        else (valid_until is null or valid_until > $8) and coalesce((payload ->> 'valid_from')::timestamptz <= $8, true) end
    and ($9::bigint is null or ref < $9) and ($11::text is null or payload -> 'turn_ids' ?| (
        select array_agg(turn_id::text) from turns where user_id = any(person_of($1)) and call_id = $11))
order by ref desc limit $10

-- name: fact_row
-- $2 id
select ref, id, payload::text from facts where user_id = any(person_of($1)) and id = $2

-- name: fact_row_to_change
-- $2 id
select ref, id, payload::text from facts where user_id = any(person_of($1)) and id = $2 for update

-- name: edit_fact
-- $2 id $3 what is merged into the payload $4 keys that go $5 by whom; noted with what it was
with was as (
    select id, payload from facts where user_id = $1 and id = $2
), noted as (
    insert into fact_changes (user_id, fact_id, change, before, by_whom) select $1, id, 'edited', payload, $5 from was
)
update facts set payload = (facts.payload - $4::text[]) || $3::jsonb from was
where facts.user_id = $1 and facts.id = was.id returning facts.payload::text

-- name: replace_fact_words
-- $2 ref $3 vector $4 words $5 terms $6 counts
with unposted as (
    delete from postings where user_id = $1 and ref = $2 and term <> all($5::text[])
), embedded as (
    update facts set vector = $3, words = $4 where user_id = $1 and ref = $2
)
insert into postings (user_id, term, ref, tf)
select $1, term, $2, tf from unnest($5::text[], $6::smallint[]) as word (term, tf)
on conflict (user_id, term, ref) do update set tf = excluded.tf

-- name: fact_history
-- Oldest first. $2 fact id
select change, case when change <> 'added' then before::text end as before, by_whom, batch_id, changed_at, undone_at from fact_changes
where user_id = any(person_of($1)) and fact_id = $2 order by change_id

-- name: turns_by_id
-- $2 turn ids
select turn_id, user_id, agent_id, call_id, position, role, text, said_at, interrupted, state, timezone,
    coalesce(recall::text, '') as recall
from turns where user_id = any(person_of($1)) and turn_id = any($2) order by said_at, position

-- name: owner_of_memory
-- Whose fact or turn this is ($1 its id). Nobody's in particular: the caller then may see it, or not.
select user_id from facts where id = $1 and user_id is not null union all select user_id from turns where turn_id = $1 limit 1

-- name: facts_near
-- All facts of one person, and how near each is to a question. $2 its vector, as it is asked of English, or null $3 of the rest
select facts.ref, id, payload::text, -(fact_index.vector <#> case when is_other_language(fact_index.vector)
    then (select $3::vector::halfvec) else (select $2::vector::halfvec) end) as likeness
from facts join fact_index using (ref) where facts.user_id = $1 order by ref desc

-- name: words_near
-- As facts_near: what the person said last and nobody has learned from yet. $4 how many
select turns.ref, turn_id, turns.agent_id, turns.call_id, text, said_at, coalesce(labels::text, '') as labels,
    -(turn_index.vector <#> case when is_other_language(turn_index.vector)
    then (select $3::vector::halfvec) else (select $2::vector::halfvec) end) as likeness
from turns join turn_index using (ref) where turns.user_id = $1 and role = 'user' and state <> 'learned' order by ref desc limit $4

-- name: last_call_named
-- The last call of this person whose id begins so. $2 agent $3 how its id begins
select call_id, ref, recorded_at from turns where user_id = $1 and agent_id = $2 and starts_with(call_id, $3) order by ref desc limit 1

-- name: turns_labelled
-- Ids of turns. $2 agent, or null for any $3 labels that they have, or '{}'
select turn_id from turns where user_id = $1 and ($2::text is null or agent_id = $2) and coalesce(labels, '{}') @> $3::jsonb

-- name: learning_of_turn
-- How far learning is with a turn, and what its batch changed. $2 turn
select turns.state, turns.said_at, batches.batch_id, coalesce(batches.error, '') as error,
    array(select fact_id from fact_changes where user_id = $1 and batch_id = batches.batch_id order by change_id) as fact_ids,
    array(select change from fact_changes where user_id = $1 and batch_id = batches.batch_id order by change_id) as changes
from turns left join batches on batches.user_id = $1 and kind = 'learn' and turns.turn_id = any(batches.turn_ids)
where turns.user_id = $1 and turns.turn_id = $2 order by batches.created_at desc limit 1

-- name: turns_of_calls_named
-- The last turns of users in calls whose id begins so. $1 the person, or null for everybody $2 how the id begins $3 how many
select turn_id, state, recorded_at from turns
where ($1::text is null or user_id = $1) and starts_with(call_id, $2) and role = 'user' order by ref desc limit $3

-- name: calls_page
-- The last to begin first. $2 began before this time, or null $3 and has a smaller id than this at that time $4 how many
select call_id, agent_id, min(said_at) as began_at, max(said_at) as ended_at, count(*) as turns,
    count(*) filter (where state in ('open', 'learning')) as open_turns
from turns where user_id = any(person_of($1)) group by call_id, agent_id
having $2::timestamptz is null or (min(said_at), call_id) < ($2, $3) order by began_at desc, call_id desc limit $4

-- name: turns_page
-- Newest first, as they were recorded. $2 words in it, lower case, or null $3 before this ref, or null $4 how many
select ref, turn_id, user_id, agent_id, call_id, position, role, text, said_at, interrupted, state, timezone,
    coalesce(recall::text, '') as recall
from turns where user_id = any(person_of($1)) and ($2::text is null or position($2 in lower(text)) > 0) and ($3::bigint is null or ref < $3)
order by ref desc limit $4

-- name: call_turns_page
-- In the order of the call. $2 call $3 after this position, or null $4 how many
select position as ref, turn_id, user_id, agent_id, call_id, position, role, text, said_at, interrupted, state, timezone,
    coalesce(recall::text, '') as recall
from turns where user_id = any(person_of($1)) and call_id = $2 and ($3::bigint is null or position > $3) order by position limit $4

-- name: user_batches
-- Newest first. $2 how many
select batch_id, kind, agent_id, cardinality(turn_ids) as size, state, starts, failures, coalesce(error, '') as error, facts,
    created_at, finished_at, retry_at
from batches where user_id = any(person_of($1)) order by created_at desc limit $2

-- name: user_statistics
-- $2 now
select (select count(*) from facts where user_id = any(person_of($1)) and (valid_until is null or valid_until > $2)) as facts_live,
    (select count(*) from facts where user_id = any(person_of($1)) and valid_until <= $2) as facts_ended,
    count(*) as turns, count(*) filter (where state in ('open', 'learning')) as turns_open,
    count(*) filter (where state = 'dead') as turns_given_up, count(distinct call_id) as calls,
    min(said_at) as first_at, max(said_at) as last_at
from turns where user_id = any(person_of($1))

-- name: read_pair
-- $2 agent
select count(*) as turns, count(*) filter (where state in ('open', 'learning')) as open_turns,
    (select count(*) from facts where user_id = $1 and (agent_id is null or agent_id = $2)
        and (valid_until is null or valid_until > now())) as facts
from turns where user_id = $1 and agent_id = $2

-- name: user_topics
-- $2 now
select coalesce(payload ->> 'topic', '') as topic, count(*) as facts from facts
where user_id = any(person_of($1)) and (valid_until is null or valid_until > $2) group by 1 order by 2 desc, 1

-- name: statistics
-- Nobody's in particular. $1 now
select (select count(distinct user_id) from (select user_id from turns union all select user_id from facts) as both_of) as users,
    (select count(*) from facts where valid_until is null or valid_until > $1) as facts_live,
    (select count(*) from facts where valid_until <= $1) as facts_ended,
    count(*) as turns, count(*) filter (where state in ('open', 'learning')) as turns_open,
    count(*) filter (where state = 'dead') as turns_given_up, count(distinct call_id) as calls,
    min(said_at) as first_at, max(said_at) as last_at
from turns

-- name: days
-- Nobody's in particular: each of the last days on which something was said or learned, by UTC. $1 now $2 how many
with said as (
    select (recorded_at at time zone 'UTC')::date as day, count(*) as turns, count(distinct user_id) as users,
        count(distinct (user_id, call_id)) as calls, count(recall) as recalls,
        percentile_cont('{0.5,0.95}'::float8[]) within group (order by (recall ->> 'ms')::float8) as ms
    from turns where recorded_at > $1::timestamptz - make_interval(days => $2) group by 1
), learned as (
    select (changed_at at time zone 'UTC')::date as day, count(*) as facts from fact_changes
    where change = 'added' and changed_at > $1::timestamptz - make_interval(days => $2) group by 1
), spent as (
    select (finished_at at time zone 'UTC')::date as day, count(*) as batches, sum(tokens_in)::bigint as tokens_in,
        sum(tokens_out)::bigint as tokens_out
    from batches where kind = 'learn' and state = 'done' and finished_at > $1::timestamptz - make_interval(days => $2) group by 1
)
select day, coalesce(batches, 0) as batches, coalesce(tokens_in, 0) as tokens_in, coalesce(tokens_out, 0) as tokens_out, coalesce(turns, 0) as turns, coalesce(users, 0) as users, coalesce(calls, 0) as calls, coalesce(facts, 0) as facts_added,
    coalesce(recalls, 0) as recalls, ms[1] as recall_p50_ms, ms[2] as recall_p95_ms
from said full join learned using (day) full join spent using (day) order by day

-- name: tiers
-- Nobody's in particular: how the tiers fared in the replies of so many seconds ($2) before $1.
select tier.key as tier, tier.value ->> 'status' as status, count(*) as replies,
    percentile_cont(0.95) within group (order by (tier.value ->> 'ms')::float8) as p95_ms
from turns, jsonb_each(recall -> 'tiers') tier
where recorded_at > $1::timestamptz - make_interval(secs => $2::float8) and recall is not null group by 1, 2 order by 1, 2

-- name: batch_durations
-- Nobody's in particular: of those that ended in the last day.
select kind, state, count(*) as batches, coalesce(avg(extract(epoch from finished_at - created_at)), 0)::float8 as mean_s
from batches where state <> 'done' or finished_at > now() - interval '1 day' group by kind, state order by kind, state

-- name: events_after
-- Settled ones, of one person ($1 the hashes of their ids) or of all (null). $2 xid $3 event id $4 how many
select xid::text, event_id, at, user_id, user_hash, kind, data::text from events
where (xid, event_id) > ($2::text::xid8, $3::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot()) and ($1::text[] is null or user_hash = any($1))
order by xid, event_id limit $4

-- name: events_pending
-- Of transactions that may still be followed by an older one. Nobody's in particular.
select exists (select from events where xid >= pg_snapshot_xmin(pg_current_snapshot()))

-- name: events_end
-- Nobody's in particular: where to begin for who wants only what comes.
select xid::text, event_id from events where xid < pg_snapshot_xmin(pg_current_snapshot()) order by xid desc, event_id desc limit 1

-- name: forget_events
-- Nobody's in particular: older than so many seconds ($1).
delete from events where at < now() - make_interval(secs => $1::float8)

-- name: hashes_of
select array_agg(user_hash(id)) from unnest(person_of($1)) as person (id)

-- name: add_key
-- $1 hash of the key $2 name $3 role $4 user or null $5 seconds that it is valid, or null
insert into api_keys (key_hash, name, role, user_id, expires_at) values ($1, $2, $3, $4, now() + make_interval(secs => $5::float8))
returning key_id, name, role, user_id, created_at, expires_at, revoked_at

-- name: find_key
-- $1 hash of the key
select key_id, name, role, user_id from api_keys
where key_hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())

-- name: list_keys
select key_id, name, role, user_id, created_at, expires_at, revoked_at from api_keys order by created_at, key_id

-- name: revoke_key
-- $1 key id
update api_keys set revoked_at = coalesce(revoked_at, now()) where key_id = $1 returning key_id

-- name: note_request
-- $1 key id or null $2 name of the key $3 action $4 user or null $5 whether it was allowed
insert into audit (key_id, key_name, action, user_hash, allowed) values ($1, $2, $3, case when $4::text is not null then user_hash($4) end, $5)

-- name: audit_page
-- Newest first. $1 of this person, or null $2 before this id, or null $3 how many
select audit_id, asked_at, key_id, key_name, action, user_hash, allowed from audit
where ($1::text is null or user_hash = user_hash($1)) and ($2::bigint is null or audit_id < $2) order by audit_id desc limit $3

-- name: claim_creation
-- $2 key id $3 idempotency key $4 hash of the request $5 fact id. Nothing comes back when it was claimed before.
insert into api_creations (user_id, key_id, idempotency_key, request_hash, fact_id) values ($1, $2, $3, $4, $5)
on conflict (key_id, user_id, idempotency_key) do nothing returning fact_id

-- name: creation
-- $2 key id $3 idempotency key
select request_hash, fact_id from api_creations where user_id = $1 and key_id = $2 and idempotency_key = $3

-- name: export_events
select at, kind, data::text from events where user_id = $1 order by xid, event_id

-- name: export_keys
-- Without the hash, which is of use to nobody else.
select key_id, name, created_at, expires_at, revoked_at from api_keys where user_id = $1 order by created_at
