-- Queries of memory/profile: facts by slot, and events. $1 is the user, unless it says otherwise. Reading shows the whole person,
-- under whichever id it was learned; what is learned and thinned is one id's.

-- name: profile_lines
-- Live facts as lines of a profile: of the preferred topics first, then by importance, then the latest. $1 ids of a person $2 agent, or null: any $3 now
-- $4 only these topics, or null $5 preferred topics, best first $6 only these slots, as "topic/slot", or null $7 how many
select facts.id, ref, topic, sub_topic, payload ->> 'data' as text, payload -> 'about' as about, first.importance::float8 as importance,
    (payload ->> 'said_at')::timestamptz as said_at,
    coalesce(payload ->> 'created_at', payload ->> 'said_at')::timestamptz as created_at,
    coalesce(payload ->> 'updated_at', payload ->> 'said_at')::timestamptz as updated_at, facts.user_id
from (
    select ref, topic, sub_topic, importance, array_position($5::text[], topic) as place from fact_index
    where user_id = any($1) and ($2::text is null or agent_id is null or agent_id = $2)
        and (valid_until is null or valid_until > $3)
        and ($4::text[] is null or topic = any($4)) and ($6::text[] is null or topic || '/' || sub_topic = any($6))
    order by place nulls last, importance desc, ref desc limit $7
) first join facts using (ref) order by place nulls last, first.importance desc, ref desc

-- name: slot_sizes
-- How many live facts stand in each slot that has a name, and where they lie on average. $2 topics $3 now
select payload ->> 'topic' as topic, payload ->> 'sub_topic' as sub_topic, array_agg(id order by ref) as ids, avg(vector) as centre
from facts where user_id = $1 and payload ->> 'topic' = any($2) and coalesce(payload ->> 'sub_topic', '') <> ''
    and (valid_until is null or valid_until > $3) group by 1, 2 order by 1, 2

-- name: add_episode
-- $2 the batch $3 agent $4 call $5 when its turns were said, from $6 to $7 tags
insert into episodes (user_id, episode_id, agent_id, call_id, began_at, ended_at, tags) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (episode_id) do nothing

-- name: episodes_page
-- Newest first; of whose facts nothing is left and which nobody wrote himself, not at all. $2 agent, or null $3 said since $4 and until,
-- or null $5 with these tags and values $6 with these tags $7 before this time, or null $8 and this id $9 how many $10 only these, or null
-- $11 since counts from when it was learned, too
select episode_id, agent_id, call_id, began_at, ended_at, tags::text, summary, delta::text, created_at, updated_at from episodes
where user_id = any(person_of($1)) and ($2::text is null or agent_id = $2)
    and ($3::timestamptz is null or ended_at >= $3 or ($11 and created_at >= $3))
    and ($4::timestamptz is null or began_at < $4) and tags @> $5::jsonb and tags ?& $6::text[]
    and ($7::timestamptz is null or (ended_at, episode_id) < ($7, $8::uuid)) and ($10::uuid[] is null or episode_id = any($10))
    and (summary is not null or delta is not null or exists (
        select from fact_changes join facts on facts.id = fact_id and facts.user_id = episodes.user_id
        where fact_changes.user_id = episodes.user_id and batch_id = episode_id and undone_at is null
    ))
order by ended_at desc, episode_id desc limit $9

-- name: episode_facts
-- What these batches ($2) did to facts that are still there, in their order.
select batch_id, change, facts.id, facts.payload::text from fact_changes
    join facts on facts.id = fact_id and facts.user_id = fact_changes.user_id
where fact_changes.user_id = any(person_of($1)) and batch_id = any($2) and undone_at is null
    and change in ('added', 'ended', 'confirmed')
order by change_id

-- name: gists
-- The last facts that events taught, newest first, read event by event until there are enough. $2 agent, or null $3 said since, or null
-- $4 how many
select id, episode_id, payload from unnest(person_of($1)) as person (user_id) cross join lateral (
    select ended_at, episode_id, taught.* from episodes cross join lateral (
        select change_id, facts.id, facts.payload::text
        from fact_changes join facts on facts.id = fact_id and facts.user_id = episodes.user_id
        where fact_changes.user_id = episodes.user_id and batch_id = episode_id and change = 'added' and undone_at is null
            and ($2::text is null or facts.agent_id is null or facts.agent_id = $2)
        order by change_id desc limit $4
    ) as taught
    where episodes.user_id = person.user_id and ($3::timestamptz is null or ended_at >= $3)
    order by ended_at desc, episode_id desc limit $4
) as last order by ended_at desc, episode_id desc, change_id desc limit $4

-- name: gist_lines
-- As `gists`, with what a line shows. $1 ids of a person $5 since counts from when it was learned, too
select id, text, about, said_at, valid_from, valid_until, due, precision from unnest($1::text[]) as person (user_id) cross join lateral (
    select ended_at, episode_id, taught.* from episodes cross join lateral (
        select change_id, facts.id, payload ->> 'data' as text, payload -> 'about' as about,
            (payload ->> 'said_at')::timestamptz as said_at,
            (payload ->> 'valid_from')::timestamptz as valid_from, valid_until, due, coalesce(payload ->> 'precision', '') as precision
        from fact_changes join facts on facts.id = fact_id and facts.user_id = episodes.user_id
        where fact_changes.user_id = episodes.user_id and batch_id = episode_id and change = 'added' and undone_at is null
            and ($2::text is null or facts.agent_id is null or facts.agent_id = $2)
        order by change_id desc limit $4
    ) as taught
    where episodes.user_id = person.user_id and ($3::timestamptz is null or ended_at >= $3 or ($5 and created_at >= $3))
    order by ended_at desc, episode_id desc limit $4
) as last order by ended_at desc, episode_id desc, change_id desc limit $4

-- name: gists_near
-- Those nearest to a vector. As `gists`; $5 vector, for English $6 said until, or null $7 nearer than this $8 and for the rest
-- $9 since counts from when it was learned, too
select * from (
    select facts.id, episode_id, facts.payload::text, -(fact_index.vector <#> case
        when is_other_language(fact_index.vector) then (select $8::vector::halfvec) else (select $5::vector::halfvec) end) as similarity
        from fact_index
        join facts using (ref)
        join fact_changes on fact_changes.user_id = facts.user_id and fact_id = facts.id and change = 'added' and undone_at is null
        join episodes on episodes.user_id = facts.user_id and episode_id = batch_id
    where fact_index.user_id = any(person_of($1)) and ($2::text is null or facts.agent_id is null or facts.agent_id = $2)
        and ($3::timestamptz is null or ended_at >= $3 or ($9 and episodes.created_at >= $3)) and ($6::timestamptz is null or began_at < $6)
) near where similarity > $7 order by similarity desc limit $4

-- name: change_episode
-- $2 episode $3 summary $4 tags $5 delta; each null: stays
update episodes set summary = coalesce($3, summary), tags = coalesce($4::jsonb, tags), delta = coalesce($5::jsonb, delta),
    updated_at = clock_timestamp()
where user_id = any(person_of($1)) and episode_id = $2 returning episode_id

-- name: drop_episodes
-- $2 episodes. What was learned stays.
delete from episodes where user_id = any(person_of($1)) and episode_id = any($2) returning episode_id

-- name: thin_episodes
-- What was written of events in which these facts ($2) or turns ($3) stood may retell them; what has no other fact goes whole.
-- A batch is of one call.
with touched as (
    select batch_id from fact_changes where user_id = $1 and fact_id = any($2) and batch_id is not null
    union select batch_id from turns join batches using (user_id, call_id)
    where user_id = $1 and turn_id = any($3::uuid[]) and turn_id = any(turn_ids)
), gone as (
    delete from episodes using touched where episodes.user_id = $1 and episode_id = touched.batch_id and not exists (
        select from fact_changes where fact_changes.user_id = $1 and fact_changes.batch_id = episode_id and undone_at is null
            and fact_id <> all($2) and (
                exists (select from facts where facts.user_id = $1 and facts.id = fact_id)
                or exists (select from archived_facts where archived_facts.user_id = $1 and archived_facts.id = fact_id))
    ) returning episode_id
)
update episodes set summary = null, delta = null, tags = '{}' from touched
where episodes.user_id = $1 and episode_id = touched.batch_id and episode_id not in (select gone.episode_id from gone)

-- name: drop_old_episodes
-- $2 said before
delete from episodes where user_id = $1 and ended_at < $2

-- name: export_episodes
select episode_id, agent_id, call_id, began_at, ended_at, tags::text, summary, delta::text, created_at, updated_at from episodes
where user_id = $1 order by ended_at, episode_id

-- name: facts_around
-- Live promises that are due, and facts that begin, soonest first: all of them, since which ones are late is told by their time zone.
-- $1 ids of a person $2 agent $3 now $4 promises whose last day is since $5 anything before
select id, payload::text, at from (
    select id, payload, due, coalesce(due, (payload ->> 'valid_from')::timestamptz) as at from facts
    where user_id = any($1) and (agent_id is null or agent_id = $2) and (valid_until is null or valid_until > $3)
        and (due is not null or payload ? 'valid_from')
) dated where at < $5 and (at > $3 or due + case payload ->> 'precision' when 'year' then interval '366 days'
    when 'month' then interval '31 days' else interval '1 day' end >= $4) order by at
