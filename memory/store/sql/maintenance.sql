-- Queries of the nightly maintenance (memory/privacy/maintenance.py) and of taking it back. $1 is the user, unless it says otherwise.

-- name: users_to_maintain
-- Nobody's in particular: of whom something may be too old, or whose facts changed. $1 days of the system, or null $2 since
with known as (
    select user_id from turns union select user_id from documents union select user_id from facts where user_id is not null
)
select user_id from known left join user_settings using (user_id)
where coalesce(retention_days, $1::integer) is not null
    or exists (select from fact_changes where fact_changes.user_id = known.user_id and changed_at >= $2)
order by user_id

-- name: retention_of
select retention_days from user_settings where user_id = $1

-- name: facts_to_maintain
-- All of them, when somebody last said one again or changed it, and what each stands for: facts that were merged into it.
with recursive said_as as (
    select id as fact_id, id as stands from facts where user_id = $1
    union select one.id, stands from archived_facts one join said_as on merged_into = fact_id where user_id = $1
), touched as (
    select stands, max(changed_at) as touched_at from said_as join fact_changes using (fact_id)
    where user_id = $1 and change in ('confirmed', 'edited') and undone_at is null and by_whom <> 'maintenance' group by stands
), merged as (
    select stands, array_agg(fact::text) as merged from said_as join archived_facts on id = fact_id where user_id = $1 group by stands
)
select ref, id, payload::text, touched_at, coalesce(merged, '{}') as merged
from facts left join touched on touched.stands = id left join merged on merged.stands = id where user_id = $1 order by ref

-- name: old_turns
-- $2 said before $3 how many
select turn_id from turns where user_id = $1 and said_at < $2 order by said_at limit $3

-- name: count_old_turns
-- $2 said before
select count(*) from turns where user_id = $1 and said_at < $2

-- name: archive_facts
-- $2 ids $3 the fact that says the same, or null, of each $4 run $5 change
with gone as (
    delete from facts using unnest($2::uuid[], $3::uuid[]) as one (fact_id, merged_into)
    where facts.user_id = $1 and facts.id = one.fact_id returning facts.id, facts.ref, facts.payload, one.merged_into
), unposted as (
    delete from postings where user_id = $1 and ref in (select ref from gone)
), kept as (
    insert into archived_facts (id, user_id, ref, fact, run_id, merged_into) select id, $1, ref, payload, $4, merged_into from gone
)
insert into fact_changes (user_id, fact_id, batch_id, change, before, by_whom) select $1, id, $4, $5, payload, 'maintenance' from gone

-- name: note_run
-- $2 run $3 archived $4 merged $5 refiled $6 turns, a portion of them at a time
insert into maintenance_runs (user_id, run_id, archived, merged, refiled, turns) values ($1, $2, $3, $4, $5, $6)
on conflict (run_id) do update set turns = maintenance_runs.turns + excluded.turns

-- name: archived_by
-- What these runs ($2) archived, and what they or others let go because a fact that such batches ($2) added says the same.
select id, ref, fact::text, run_id, merged_into, run_id = any($2) as theirs from archived_facts
where user_id = $1 and (run_id = any($2) or merged_into in (
    select fact_id from fact_changes where user_id = $1 and batch_id = any($2) and change = 'added' and undone_at is null
)) order by ref

-- name: merged_by
-- What was merged into these facts ($2), as it is now.
select id, fact, run_id, merged_into from archived_facts where user_id = $1 and merged_into = any($2) order by ref

-- name: merge_into
-- $2 ids in the archive $3 the fact that says them now
update archived_facts set merged_into = $3 where user_id = $1 and id = any($2)

-- name: list_archived
select id, fact from archived_facts where user_id = any(person_of($1)) order by ref

-- name: reinstate_fact
-- $2 id $3 ref $4 vector $5 words $6 terms $7 counts
with back as (
    delete from archived_facts where user_id = $1 and id = $2 returning fact
), kept as (
    insert into facts (id, ref, vector, payload, words) select $2, $3, $4, fact, $5 from back returning ref
)
insert into postings (user_id, term, ref, tf)
select $1, term, ref, tf from kept, unnest($6::text[], $7::smallint[]) as word (term, tf)

-- name: runs_undone
-- $2 runs
update maintenance_runs set undone_at = clock_timestamp() where user_id = $1 and run_id = any($2) and undone_at is null

-- name: merged_into
-- Also what was merged into those. $2 ids of facts
with recursive merged as (
    select id from archived_facts where user_id = $1 and merged_into = any($2)
    union select one.id from archived_facts one join merged on one.merged_into = merged.id where one.user_id = $1
)
select id from merged

-- name: runs_between
-- $1 null: everybody's $2 from $3 to
select user_id, array_agg(run_id) as run_ids from maintenance_runs
where ($1::text is null or user_id = $1) and ran_at >= $2 and ran_at < $3 and undone_at is null group by user_id order by user_id

-- name: users_of_batch
-- $1 is the batch here: nobody's in particular.
select user_id from fact_changes where batch_id = $1 union select user_id from maintenance_runs where run_id = $1

-- name: purge_archive
-- Nobody's in particular: what was archived before this time ($1) goes for good, and its history with it. That it was said, too, is
-- from then on a change of the fact that it was merged into, or of what that was merged into, wherever that stands.
with recursive gone as (
    delete from archived_facts where archived_at < $1 returning user_id, id, merged_into
), heirs as (
    select user_id, id, merged_into as stands from gone where merged_into is not null
    union all select heirs.user_id, heirs.id, merged_into from heirs join gone on gone.id = stands where merged_into is not null
), known as (
    select user_id, id, payload from facts union all select user_id, id, fact from archived_facts where archived_at >= $1
), said_too as (
    insert into fact_changes (user_id, fact_id, batch_id, change, before, by_whom, changed_at)
    select said.user_id, stands, batch_id, 'confirmed',
        jsonb_set(payload, '{turn_ids}', jsonb_path_query_array(payload, '$.turn_ids[last - 7 to last]'), false), said.by_whom, said.changed_at
    from heirs join fact_changes said on said.user_id = heirs.user_id and said.fact_id = heirs.id
        join known on known.user_id = heirs.user_id and known.id = stands
    where change in ('added', 'confirmed') and said.by_whom <> 'maintenance' and undone_at is null
), unnoted as (
    delete from fact_changes using gone where fact_changes.user_id = gone.user_id and fact_id = gone.id
), unlisted as (
    delete from maintenance_runs where ran_at < $1
)
select count(*) from gone

-- name: maintenance_totals
-- Nobody's in particular: of the runs that are kept, without those that were undone.
select max(ran_at) as last_at, count(distinct user_id) as users, coalesce(sum(archived), 0)::bigint as archived,
    coalesce(sum(merged), 0)::bigint as merged, coalesce(sum(refiled), 0)::bigint as refiled, coalesce(sum(turns), 0)::bigint as turns,
    (select count(*) from archived_facts) as in_archive
from maintenance_runs where undone_at is null

-- name: export_archived
select id, fact::text, run_id, merged_into, archived_at from archived_facts where user_id = $1 order by ref

-- name: export_runs
select run_id, ran_at, archived, merged, refiled, turns, undone_at from maintenance_runs where user_id = $1 order by ran_at

-- name: export_undone_calls
select call_id, undone_at from undone_calls where user_id = $1 order by undone_at
