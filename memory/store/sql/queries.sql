-- Named queries, read by memory/store/queries.py. $1 is the user everywhere, so that a missing scope is seen at a glance; what a call
-- recalls is asked of all ids of its caller, and lists of person_of($1).

-- name: lock_user_shared
-- Held by every writer of one user's rows until it commits; erase takes the exclusive one.
select pg_advisory_xact_lock_shared(user_lock_key($1))

-- name: lock_user_exclusive
select pg_advisory_xact_lock(user_lock_key($1))

-- name: notify
select pg_notify('echoic_memory', json_build_object('user', user_hash($1), 'call', $2::text)::text)

-- name: notify_erased
select pg_notify('echoic_memory', json_build_object('user', user_hash($1), 'call', '', 'erased', true)::text)

-- name: is_void
-- Was this person erased after these words were said?
select exists (select from erasures where user_hash = user_hash($1) and erased_at >= $2)

-- name: was_refused
-- Had this person said no when this was heard? Erased or forgotten since, it is gone. $2 heard $3 turn id
select had_refused($1, $2) and not exists (select from erasures where user_hash = user_hash($1) and erased_at >= $2)
    and not exists (select from forgotten where id = $3)

-- name: erased_at
select erased_at from erasures where user_hash = user_hash($1)

-- name: try_lock_user_shared
select pg_try_advisory_xact_lock_shared(user_lock_key($1))

-- name: insert_turn
-- Of a call that was undone since it was said, nothing is learned.
-- $2 agent $3 call $4 turn id $5 position $6 role $7 text $8 said_at $9 interrupted $10 words $11 terms $12 counts $13 time zone
-- $14 when it was heard by this database's clock $15 what memory gave it, or '' $16 labels, or ''.
-- Gives ref (null: nothing new) and the time
with kept as (
    insert into turns (
        user_id, agent_id, call_id, turn_id, position, role, text, said_at, interrupted, timezone, recall, labels, state, settled
    )
    select $1, $2, $3, $4, $5, $6, $7, $8, $9, $13, nullif($15, '')::jsonb, nullif($16, '')::jsonb,
        case when undone then 'learned' else 'open' end, undone
    from (select exists (
        select from undone_calls where user_id = $1 and call_id = $3 and undone_at >= $14
    ) as undone) call
    where not exists (select from erasures where user_hash = user_hash($1) and erased_at >= $14)
        and not had_refused($1, $14)
        and not exists (select from forgotten where id = $4)
    on conflict (turn_id) do nothing
    returning ref
), indexed as (
    insert into turn_index (ref, user_id, agent_id, call_no, position, words)
    select ref, $1, $2, hashtextextended($3, 0), $5, $10 from kept
), posted as (
    insert into postings (user_id, term, ref, tf)
    select $1, term, ref, tf from kept, unnest($11::text[], $12::smallint[]) as word (term, tf)
)
select (select ref from kept) as ref, clock_timestamp() as now

-- name: set_turn_vector
update turn_index set vector = $3 where user_id = $1 and ref = $2 and vector is null

-- name: set_turn_vector_by_id
update turn_index set vector = $3 where user_id = $1 and ref = (select ref from turns where turn_id = $2) and vector is null

-- name: turns_without_vector
-- Nobody's in particular: for the sweeper, oldest first, without those that were refused three times. $1 how many
select turns.ref, turns.user_id, turns.text from turn_index join turns using (ref)
where turn_index.vector is null and refused < 3 order by turns.ref limit $1

-- name: text_refused
update turn_index set refused = refused + 1 where user_id = $1 and ref = $2

-- name: texts_refused
-- $1 null: everybody's
select user_id, count(*) as texts, max(turns.recorded_at) as last_at from turn_index join turns using (ref, user_id)
where turn_index.vector is null and refused >= 3 and ($1::text is null or user_id = $1) group by user_id order by user_id

-- name: embed_again
update turn_index set refused = 0 where user_id = $1 and vector is null and refused > 0

-- name: list_turns
-- By call, as they began, and within a call by position: a clock that is set in the middle of a call changes no order.
select turn_id, user_id, agent_id, call_id, position, role, text, said_at, interrupted, state, timezone
from turns where user_id = any(person_of($1)) order by min(said_at) over (partition by call_id), call_id, position

-- name: turns_naming
-- Turns of this agent in which this pattern ($3) of plain letters stands, or null: all, each with the one that came next. $2 agent
select turn_id, user_id, agent_id, call_id, position, role, text, said_at, interrupted, state, timezone from (
    select *, lag(stands) over (order by said_at, position) as next from (
        select *, $3::text is null or text ~ $3 or (
            octet_length(text) > char_length(text) and (text ~ '[ßẞı]' or normalize(text, nfkd) ~ $3)
        ) as stands from turns where user_id = any(person_of($1)) and agent_id = $2
    ) as looked_at
) as told where stands or next order by said_at, position

-- name: turns_before
-- The last turns that this agent and this caller had before this call. $2 agent $3 call $4 how many
select * from (
    select one.* from unnest($1::text[]) as person (id) cross join lateral (
        select turn_id, user_id, agent_id, call_id, position, role, text, said_at, interrupted, state, timezone
        from turns where user_id = person.id and agent_id = $2 and call_id <> $3 order by said_at desc, position desc limit $4
    ) one order by said_at desc, position desc limit $4
) as last order by max(said_at) over (partition by call_id) desc, call_id desc, position desc

-- name: turns_of_call
-- A call that goes on in another process. $2 agent $3 call $4 how many
select turn_id, user_id, agent_id, call_id, position, role, text, said_at, interrupted, state, timezone
from turns where user_id = $1 and agent_id = $2 and call_id = $3 order by position desc limit $4

-- name: postings
-- $2 terms. Packed like `score`: pairs of ref and count
select term, string_agg(int8send(ref) || int8send(tf), '') as pairs from postings where user_id = any($1::text[]) and term = any($2) group by term

-- name: score
-- Every vector of one user against the question's, in one row of packed numbers, which numpy reads as they are: the same as records
-- took 2 ms longer. A vector is null until its turn is embedded. Facts that have ended too: their turns are told as ended.
-- $2 agent $3 query vector
select said.*, learned.* from (
    select string_agg(int8send(ref), '') as turn_refs, string_agg(int8send(call_no), '') as turn_calls,
        string_agg(int4send(position), '') as turn_positions, string_agg(int4send(words), '') as turn_words,
        string_agg(float8send(coalesce(-(vector <#> (select $3::vector::halfvec)), 'nan')), '') as turn_scores
    from turn_index where user_id = any($1::text[]) and agent_id = $2
) said, (
    select string_agg(int8send(ref), '') as fact_refs, string_agg(int4send(words), '') as fact_words,
        string_agg(float8send(coalesce(extract(epoch from valid_until)::float8, 'infinity')), '') as fact_until,
        string_agg(float8send(coalesce(-(vector <#> (select $3::vector::halfvec)), 'nan')), '') as fact_scores,
        string_agg(int8send(coalesce(sources[1], 0)), '') as first_sources,
        string_agg(int8send(coalesce(sources[2], 0)), '') as second_sources,
        string_agg(int8send(coalesce(sources[3], 0)), '') as third_sources
    from fact_index where user_id = any($1::text[]) and (agent_id is null or agent_id = $2)
) learned

-- name: candidates
-- Of a memory whose vectors are too many to score for one question, packed like `score`, without scores: these turns and facts ($3),
-- the sources of those facts, three neighbours on either side of each turn, and the newest $4 turns and $5 facts. $2 agent
with told as (
    select unnest($3::bigint[]) as ref
), known as materialized (
    select * from fact_index where user_id = any($1::text[]) and (agent_id is null or agent_id = $2) and ref in (
        select ref from told union select one.ref from unnest($1::text[]) as person (id) cross join lateral (
            select ref from facts where user_id = person.id order by ref desc limit $5
        ) one
    )
), heard as (
    select ref, user_id from turns where user_id = any($1::text[]) and ref in (
        select ref from told union select unnest(sources) from known where ref in (select ref from told)
    )
), spoken as (
    select ref from heard
    union select one.ref from heard cross join lateral (
        (select ref from turns where user_id = heard.user_id and ref < heard.ref order by ref desc limit 3)
        union all (select ref from turns where user_id = heard.user_id and ref > heard.ref order by ref limit 3)
    ) one
    union select one.ref from unnest($1::text[]) as person (id) cross join lateral (
        select ref from turns where user_id = person.id and agent_id = $2 order by said_at desc, position desc limit $4
    ) one
)
select said.*, learned.*, (select count(*) from turn_index where user_id = any($1::text[]))
    + (select count(*) from fact_index where user_id = any($1::text[])) as all_rows from (
    select string_agg(int8send(one.ref), '') as turn_refs, string_agg(int8send(call_no), '') as turn_calls,
        string_agg(int4send(position), '') as turn_positions, string_agg(int4send(words), '') as turn_words
    from spoken cross join lateral ( -- limit: else all of the index was read, in 30 ms
        select * from turn_index where ref = spoken.ref and user_id = any($1::text[]) and agent_id = $2 limit 1
    ) one
) said, (
    select string_agg(int8send(ref), '') as fact_refs, string_agg(int4send(words), '') as fact_words,
        string_agg(float8send(coalesce(extract(epoch from valid_until)::float8, 'infinity')), '') as fact_until,
        string_agg(int8send(coalesce(sources[1], 0)), '') as first_sources,
        string_agg(int8send(coalesce(sources[2], 0)), '') as second_sources,
        string_agg(int8send(coalesce(sources[3], 0)), '') as third_sources
    from known
) learned

-- name: score_candidates
-- In the order of these turns ($2) and facts ($3), packed like `score`. $4 query vector
select (
    select string_agg(float8send(coalesce((
        select -(vector <#> (select $4::vector::halfvec)) from turn_index where turn_index.ref = one.ref and user_id = any($1::text[])
    ), 'nan')), '' order by place) from unnest($2::bigint[]) with ordinality as one (ref, place)
) as turn_scores, (
    select string_agg(float8send(coalesce((
        select -(vector <#> (select $4::vector::halfvec)) from fact_index where fact_index.ref = one.ref and user_id = any($1::text[])
    ), 'nan')), '' order by place) from unnest($3::bigint[]) with ordinality as one (ref, place)
) as fact_scores

-- name: read_items
-- $2 refs
select turns.ref, turn_id as id, role, text, said_at, interrupted, null as payload, call_no, vector
from turns join turn_index using (ref) where turns.user_id = any($1::text[]) and turns.ref = any($2)
union all select ref, id, null, null, null, null, payload, null, null from facts where user_id = any($1::text[]) and ref = any($2)

-- name: kinds_of_vectors
-- Whether some of a user's vectors are of words that are not English, and whether some have no place in E5's space.
select exists (select from turn_index where user_id = any($1::text[]) and is_other_language(vector))
    or exists (select from fact_index where user_id = any($1::text[]) and is_other_language(vector)) as other_languages,
    exists (select from turn_index where user_id = any($1::text[]) and is_without_e5(vector))
    or exists (select from fact_index where user_id = any($1::text[]) and is_without_e5(vector)) as without_e5

-- name: is_larger
-- Than $3 turns and facts. $2 agent
select count(*) > $3 from (
    (select from turn_index where user_id = any($1::text[]) and agent_id = $2 limit $3 + 1) union all
    (select from fact_index where user_id = any($1::text[]) and (agent_id is null or agent_id = $2) limit $3 + 1)
) known

-- name: hold_arrays
-- Everything that ranking needs of one user, packed like `score`, with the vectors themselves. $2 agent $3 call
select said.*, learned.*, hashtextextended($3, 0) as call_no from (
    select string_agg(int8send(ref), '') as turn_refs, string_agg(int8send(call_no), '') as turn_calls,
        string_agg(int4send(position), '') as turn_positions, string_agg(int4send(words), '') as turn_words,
        string_agg(int8send(ref), '') filter (where vector is not null) as embedded_refs,
        string_agg(halfvec_send(vector), '') filter (where vector is not null) as turn_vectors
    from turn_index where user_id = any($1::text[]) and agent_id = $2
) said, (
    select string_agg(int8send(ref), '') as fact_refs, string_agg(int4send(words), '') as fact_words,
        string_agg(float8send(coalesce(extract(epoch from valid_until)::float8, 'infinity')), '') as fact_until,
        string_agg(int8send(coalesce(sources[1], 0)), '') as first_sources,
        string_agg(int8send(coalesce(sources[2], 0)), '') as second_sources,
        string_agg(int8send(coalesce(sources[3], 0)), '') as third_sources,
        string_agg(halfvec_send(vector), '') as fact_vectors
    from fact_index where user_id = any($1::text[]) and (agent_id is null or agent_id = $2)
) learned

-- name: hold_postings
select term, string_agg(int8send(ref) || int8send(tf), '') as pairs from postings where user_id = any($1::text[]) group by term

-- name: hold_items
-- $2 agent
select ref, turn_id as id, role, text, said_at, interrupted, null as payload from turns where user_id = any($1::text[]) and agent_id = $2
union all select ref, id, null, null, null, null, payload from facts where user_id = any($1::text[]) and (agent_id is null or agent_id = $2)

-- name: list_facts
-- $2 with closed ones $3 now
select id, payload from facts where user_id = any(person_of($1)) and ($2 or valid_until is null or valid_until > $3)
order by (payload ->> 'said_at')::timestamptz, ref

-- name: profile
-- The most important live facts that this agent may see; promises that are due come first. $2 agent $3 how many $4 now
-- $5 not those whose last day is before this. Each person's are read in the order of facts_by_importance, and no more than are asked for.
select id, payload from (
    select one.* from unnest($1::text[]) as person (id), lateral (
        select id, payload, due from facts
        where user_id = person.id and (agent_id is null or agent_id = $2) and (valid_until is null or valid_until > $4)
            and kind = 'promise' and due between $5::timestamptz - interval '366 days' and $4
    ) as one
    union select one.* from unnest($1::text[]) as person (id), lateral (
        select id, payload, due from facts
        where user_id = person.id and (agent_id is null or agent_id = $2) and (valid_until is null or valid_until > $4)
        order by (payload ->> 'importance')::real desc nulls last, (payload ->> 'said_at') collate "C" desc nulls last limit $3
    ) as one
) as known
order by coalesce(due <= $4 and due + case payload ->> 'precision' when 'year' then interval '366 days'
    when 'month' then interval '31 days' else interval '1 day' end >= $5, false) desc,
    (payload ->> 'importance')::real desc nulls last, (payload ->> 'said_at') collate "C" desc nulls last limit $3

-- name: names
-- Names in the live facts that this agent may see, those of the most important facts first. $2 agent $3 how many $4 now $5 most characters
-- Of 2,000 facts at most: what is less important names nobody who is likely to be spoken of.
select name from unnest($1::text[]) as person (id), lateral (
    select payload from facts
    where user_id = person.id and (agent_id is null or agent_id = $2) and (valid_until is null or valid_until > $4)
    order by (payload ->> 'importance')::real desc nulls last, (payload ->> 'said_at') collate "C" desc nulls last limit 2000
) as known, lateral (
    select jsonb_array_elements_text(case jsonb_typeof(payload -> 'names') when 'array' then payload -> 'names' else '[]' end) union all select payload #>> '{about,name}'
) as named (name)
where char_length(name) between 1 and $5
group by name order by max((payload ->> 'importance')::real) desc nulls last,
    max(payload ->> 'said_at' collate "C") desc nulls last limit $3

-- name: stated
-- A fact, and when it was last said, said to end, or edited by hand. $2 id
select payload::text, greatest(
    (select max(said_at) from turns where user_id = $1 and ref = any(sources)),
    (select max(case when change = 'edited' or batch_id is null then changed_at else (
        select max(said_at) from batches join turns on turns.user_id = $1 and turn_id = any(turn_ids)
        where batches.batch_id = fact_changes.batch_id
    ) end) from fact_changes where user_id = $1 and fact_id = $2 and change in ('edited', 'ended') and undone_at is null)
) as stated_at from facts where user_id = $1 and id = $2

-- name: similar_facts
-- Live facts nearest to a vector, whoever keeps them: for learning, never for a prompt. $2 agent $3 vector $4 how many $5 now
-- $6 instead those that have ended
select id, payload, away from facts join (
    select ref, vector <#> (select $3::vector::halfvec) as away from fact_index
    where user_id = $1 and (agent_id is null or agent_id = $2) and (valid_until is null or valid_until > $5) <> $6
    order by 2 limit $4
) as near using (ref) where user_id = $1 order by away

-- name: insert_fact
-- $2 id $3 vector $4 payload $5 words $6 terms $7 counts
with kept as (
    insert into facts (id, vector, payload, words) values ($2, $3, $4, $5) returning ref
)
insert into postings (user_id, term, ref, tf)
select $1, term, ref, tf from kept, unnest($6::text[], $7::smallint[]) as word (term, tf)

-- name: change_fact
-- Merge into a fact's payload, and note what it was: of the turns that say it the latest, as many as are kept as evidence. $2 id $3 what is merged $4 batch id or null $5 change $6 by whom
-- $7 only if it is live after this time, or null $8 the fact that stands in its place, or null
with was as (
    select id, payload from facts where user_id = $1 and id = $2 and ($7::timestamptz is null or valid_until is null or valid_until > $7)
    for update
), changed as (
    update facts set payload = facts.payload || $3::jsonb from was where facts.user_id = $1 and facts.id = was.id
)
insert into fact_changes (user_id, fact_id, batch_id, change, before, by_whom, replaced_by)
select $1, id, $4, $5, jsonb_set(payload, '{turn_ids}', jsonb_path_query_array(payload, '$.turn_ids[last - 7 to last]'), false), $6, $8 from was

-- name: note_added
-- $2 fact ids $3 batch id or null $4 by whom
insert into fact_changes (user_id, fact_id, batch_id, change, by_whom) select $1, id, $3, 'added', $4 from unnest($2::uuid[]) as one (id)

-- name: fact_payload
-- $2 id
select payload from facts where user_id = $1 and id = $2

-- name: changes_of_batches
-- All changes of the facts that these batches ($2) changed, and of those that say what such a fact said, oldest first; what a fact
-- is now with its last.
with recursive near (fact_id) as (
    select fact_id from fact_changes where user_id = $1 and batch_id = any($2) and undone_at is null
    union select merged_into from archived_facts join near on id = fact_id where user_id = $1 and merged_into is not null
)
select change_id, fact_id, change, batch_id, by_whom, replaced_by, changed_at, coalesce(batch_id = any($2), false) as theirs,
    case when change = 'edited' then before
        else jsonb_set(before, '{turn_ids}', jsonb_path_query_array(before, '$.turn_ids[last - 7 to last]'), false) end as before,
    case when lead(change_id) over (partition by fact_id order by change_id) is null then coalesce(facts.payload, fact) end as payload
from fact_changes left join facts on facts.id = fact_id and facts.user_id = $1
    left join archived_facts on archived_facts.id = fact_id and archived_facts.user_id = $1
where fact_changes.user_id = $1 and undone_at is null and fact_id in (select fact_id from near)
order by change_id

-- name: restore_fact
-- $2 id $3 payload
with archived as (
    update archived_facts set fact = $3 where user_id = $1 and id = $2
)
update facts set payload = $3 where user_id = $1 and id = $2

-- name: rewrite_change
-- What the fact was before a later change, now that an earlier one is taken back. $2 change id $3 payload
update fact_changes set before = $3 where user_id = $1 and change_id = $2

-- name: inherit_change
-- A change that said a fact again is the one that added it, now that the first is taken back. What it had added is seen from what the
-- fact was before: also what a night had done to it earlier. $2 change id
update fact_changes set change = 'added' where user_id = $1 and change_id = $2

-- name: inherit_end
-- A fact stays ended by what stands in the place of the one that replaced it. $2 change id $3 batch $4 the fact that does
update fact_changes set batch_id = $3, replaced_by = $4 where user_id = $1 and change_id = $2

-- name: note_end
-- A fact of two that a night made one ended with the other. $2 fact id $3 batch $4 what it was $5 by whom $6 by which fact $7 when
insert into fact_changes (user_id, fact_id, batch_id, change, before, by_whom, replaced_by, changed_at)
values ($1, $2, $3, 'ended', $4, $5, $6, $7)

-- name: any_payload
-- Of a fact that is live, ended or in the archive. $2 id
select payload::text from facts where user_id = $1 and id = $2
union all select fact::text from archived_facts where user_id = $1 and id = $2

-- name: turns_of_batches
-- $2 batches
select unnest(turn_ids) as turn_id from batches where user_id = $1 and batch_id = any($2)

-- name: said_first
-- $2 turn ids
select min(said_at) from turns where user_id = $1 and turn_id = any($2)

-- name: changes_undone
-- $2 change ids
update fact_changes set undone_at = clock_timestamp() where user_id = $1 and change_id = any($2)

-- name: batches_of_call
-- $2 call id: the batches that learned its turns
select batch_id from batches where user_id = $1 and kind = 'learn' and call_id = $2

-- name: note_undone_call
-- What waits of it, or comes later, is not learned. $2 call id
with noted as (
    insert into undone_calls (user_id, call_id) values ($1, $2)
    on conflict (user_id, call_id) do update set undone_at = clock_timestamp()
), unbegun as (
    delete from batches where user_id = $1 and kind = 'learn' and call_id = $2 and state <> 'done'
)
update turns set state = 'learned', settled = true where user_id = $1 and call_id = $2

-- name: settle_turns_of_facts
-- A fact that is forgotten for itself is not learned again from what was said. $2 fact ids
update turns set settled = true where user_id = $1 and not settled and (
    ref in (select unnest(sources) from facts where user_id = $1 and id = any($2))
    or turn_id in (
        select jsonb_array_elements_text(fact -> 'turn_ids')::uuid from archived_facts where user_id = $1 and id = any($2)
    )
)

-- name: users_of_call
-- $1 is the call here. $2 one of the ids of whom alone is meant, or ''
select user_id from (
    select user_id from turns where call_id = $1 union select user_id from batches where call_id = $1
) heard where $2 = '' or user_id = any(person_of($2)) order by user_id

-- name: changes_between
-- Made, or taken back; of the turns that say a fact, the latest. $2 from $3 to
with found as materialized (
    select * from fact_changes where user_id = any(person_of($1))
        and (changed_at >= $2 and changed_at < $3 or undone_at >= $2 and undone_at < $3)
), today as materialized (
    select id, jsonb_set(payload, '{turn_ids}', jsonb_path_query_array(payload, '$.turn_ids[last - 7 to last]'), false) as payload
    from facts where user_id = any(person_of($1)) and id in (select fact_id from found)
)
select change_id, fact_id, change, by_whom, changed_at, undone_at, payload, call_id, case when change <> 'added'
    then jsonb_set(before, '{turn_ids}', jsonb_path_query_array(before, '$.turn_ids[last - 7 to last]'), false) end as before
from found left join today on today.id = fact_id left join batches using (batch_id) order by change_id

-- name: export_changes
select fact_id, batch_id, change, before, by_whom, changed_at, undone_at from fact_changes where user_id = $1 order by change_id

-- name: forget_changes
-- $2 fact ids $3 ids of changes before which a fact said what is forgotten
delete from fact_changes where user_id = $1 and (fact_id = any($2) or change_id = any($3))

-- name: earlier_versions
-- What this person's facts said before they were edited.
select change_id, user_id, before from fact_changes
where user_id = any(person_of($1)) and change = 'edited' and before is not null and undone_at is null

-- name: forget_quotes
-- A fact that stays holds no words of a turn that goes. $2 turn ids
with gone as (
    select unnest($2::uuid[])::text as turn_id
), thinned as (
    update facts set payload = without_quotes(payload, $2) where user_id = $1 and id in (
        select id from facts, jsonb_path_query(payload, '$.evidence[*].turn_id') as quoted (turn)
        where user_id = $1 and turn #>> '{}' in (select turn_id from gone))
), archived as (
    update archived_facts set fact = without_quotes(fact, $2) where user_id = $1 and id in (
        select id from archived_facts, jsonb_path_query(fact, '$.evidence[*].turn_id') as quoted (turn)
        where user_id = $1 and turn #>> '{}' in (select turn_id from gone))
)
update fact_changes set before = without_quotes(before, $2) where user_id = $1 and change_id in (
    select change_id from fact_changes, jsonb_path_query(before, '$.evidence[*].turn_id') as quoted (turn)
    where user_id = $1 and turn #>> '{}' in (select turn_id from gone))

-- name: blank_changes
-- The words of a fact that is gone go with it. $2 fact ids
update fact_changes set before = null where user_id = $1 and fact_id = any($2)

-- name: tombstone
-- Only under the exclusive lock: every writer either committed before this time, or will see it.
insert into erasures (user_hash, erased_at) values (user_hash($1), clock_timestamp())
on conflict (user_hash) do update set erased_at = excluded.erased_at
returning erased_at

-- name: mem0_collections
-- Tables beside `facts` that Mem0 has made (entities, migrations): what they hold of a user stands in their payload.
select quote_ident(relname) from pg_class join pg_attribute on attrelid = pg_class.oid
where relnamespace = current_schema()::regnamespace and relkind = 'r' and relname <> 'facts'
  and attname = 'payload' and atttypid = 'jsonb'::regtype and not attisdropped

-- name: forget_statistics
-- The planner's samples hold words and ids, and ANALYZE leaves those of an emptied table as they are. $1 tables
select pg_clear_attribute_stats(schemaname, tablename, attname, inherited) from pg_stats
where schemaname = current_schema() and quote_ident(tablename) = any($1)

-- name: export_facts
-- $2 with vectors
select id, payload, case when $2 then vector::text end as vector from facts where user_id = $1 order by ref

-- name: export_turns
-- $2 with vectors
select turns.turn_id, turns.agent_id, turns.call_id, turns.position, turns.role, turns.text, turns.said_at, turns.interrupted,
    turns.state, turns.recorded_at, turns.recall, turns.labels,
    case when $2 then turn_index.vector::text end as vector
from turns left join turn_index using (ref) where turns.user_id = $1
order by min(said_at) over (partition by call_id), call_id, turns.position

-- name: export_batches
select batch_id, kind, agent_id, turn_ids, state, starts, failures, error, facts, created_at, finished_at, retry_at,
    tokens_in, tokens_out from batches where user_id = $1 order by created_at

-- name: export_consent
select granted, given_at from consents where user_hash = user_hash($1) order by given_at

-- name: export_forgotten
select id, forgotten_at from forgotten where user_id = $1 order by forgotten_at, id

-- name: others_connected
-- Other Echoic processes in this database: with their vectors and these, one question would be scored against two models.
select count(distinct pid) from pg_stat_activity where datname = current_database() and application_name = 'echoic' and pid <> pg_backend_pid()

-- name: setting
select value from settings where key = $1

-- name: put_setting
insert into settings (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value

-- name: forget_vectors
-- Turns are found by their words until they are embedded anew, and facts, whose vector must be one, are like nothing.
update turn_index set vector = null, refused = 0

-- name: forget_fact_vectors
-- $1 zeros
update facts set vector = $1

-- name: begin_refill
-- E5 is there now, and was not when some of it was embedded.
insert into settings select 'refilled_to', '0'
where exists (select from turn_index where is_without_e5(vector)) or exists (select from fact_index where is_without_e5(vector))
on conflict do nothing

-- name: texts_to_refill
-- Those without numbers of a model that is there: what was said or edited since has them. Facts first, which learning compares with;
-- turns that were refused are the sweeper's.
-- $1 the last place that is done $2 whether E5 is there $3 how many
(
    select ref as place, ref, payload ->> 'data' as text, payload -> 'about' as about, false as is_turn
    from facts join fact_index using (ref) where ref > $1 and is_unfilled(fact_index.vector, $2) order by ref limit $3
) union all (
    select ref + (1::bigint << 62), ref, text, null, true from turns join turn_index using (ref)
    where ref > $1 - (1::bigint << 62) and is_unfilled(vector, $2) and refused = 0 order by ref limit $3
) order by place limit $3

-- name: count_to_refill
-- $1 the last place that is done $2 whether E5 is there
select (select count(*) from turn_index where ref > $1 - (1::bigint << 62) and is_unfilled(vector, $2) and refused = 0)
    + (select count(*) from fact_index where ref > $1 and is_unfilled(vector, $2))

-- name: refill_turn
-- Whoever edited it meanwhile has embedded other words.
update turn_index set vector = $2 where ref = $1 and is_unfilled(vector, $3)

-- name: refill_fact
update facts set vector = $2 where ref = $1 and is_unfilled(vector::halfvec, $3)

-- name: refilled_to
-- Nothing: all is done, or another is at it.
select value from settings where key = 'refilled_to' for update skip locked

-- name: running_batch
-- $2 kind $3 agent, or '' for any $4 whether also one that is to wait before it is tried again
select batch_id, turn_ids, starts, failures, not $4 and coalesce(retry_at > now(), false) as waits from batches
where user_id = $1 and kind = $2 and ($3 = '' or agent_id = $3) and state = 'running' and not stopped($1) order by created_at limit 1

-- name: oldest_open_turns
-- $2 how many
select turn_id, agent_id, call_id, text from turns where user_id = $1 and state in ('open', 'learning') and not stopped($1)
order by min(said_at) over (partition by call_id), call_id, position limit $2

-- name: insert_batch
-- $2 batch id $3 kind $4 agent
insert into batches (user_id, batch_id, kind, agent_id, turn_ids) values ($1, $2, $3, $4, '{}')

-- name: start_batch
-- $2 batch id $3 ids of turns or facts
with started as (
    update batches set starts = starts + 1, turn_ids = $3,
        call_id = coalesce(call_id, (select call_id from turns where user_id = $1 and turn_id = any($3) limit 1))
    where user_id = $1 and batch_id = $2
)
update turns set state = 'learning' where user_id = $1 and turn_id = any($3)

-- name: batch_turns
-- $2 turn ids
select turn_id, user_id, agent_id, call_id, position, role, text, said_at, interrupted, state, timezone,
    coalesce(labels::text, '') as labels
from turns where user_id = $1 and turn_id = any($2) order by min(said_at) over (partition by call_id), call_id, position

-- name: count_batch_turns
-- $2 turn ids
select count(*) from turns where user_id = $1 and turn_id = any($2)

-- name: drop_batch
-- $2 batch id
with dropped as (
    delete from batches where user_id = $1 and batch_id = $2 returning turn_ids
)
update turns set state = 'open' from dropped where user_id = $1 and turn_id = any(dropped.turn_ids)

-- name: finish_batch
-- $2 batch id $3 facts $4 tokens asked of models $5 and answered
with finished as (
    update batches set state = 'done', facts = $3, error = null, finished_at = now(), tokens_in = $4, tokens_out = $5 where user_id = $1 and batch_id = $2 returning turn_ids
)
update turns set state = 'learned' from finished where user_id = $1 and turn_id = any(finished.turn_ids)

-- name: fail_batch
-- $2 batch id $3 error (no words in it) $4 how many failures are too many $5 seconds until it may be tried again
with failed as (
    update batches set failures = failures + 1, error = $3, retry_at = now() + make_interval(secs => $5::float8),
        state = case when failures + 1 >= $4 then 'dead' else state end,
        finished_at = case when failures + 1 >= $4 then now() end
    where user_id = $1 and batch_id = $2 returning turn_ids, state
), buried as (
    update turns set state = 'dead' from failed where user_id = $1 and failed.state = 'dead' and turn_id = any(failed.turn_ids)
)
select state = 'dead' from failed

-- name: give_up_turns
-- $2 batch id $3 turn ids $4 error (no words in it)
with given_up as (
    insert into batches (user_id, batch_id, turn_ids, state, error, finished_at, call_id)
    values ($1, $2, $3, 'dead', $4, now(), (select call_id from turns where user_id = $1 and turn_id = any($3) limit 1))
)
update turns set state = 'dead' where user_id = $1 and turn_id = any($3)

-- name: put_batch_back
-- $2 batch id
with put_back as (
    update batches set starts = greatest(starts - 1, 0) where user_id = $1 and batch_id = $2 and state = 'running' returning turn_ids
)
update turns set state = 'open' from put_back where user_id = $1 and turn_id = any(put_back.turn_ids)

-- name: users_with_open_turns
-- $1 is seconds here: nobody's in particular. A batch begun and not ended waits for nothing: its worker may be dead.
-- Who said nothing but long before it was recorded (imports) comes last: `past`.
select user_id, bool_and(said_at < recorded_at - interval '1 day') as past from turns
where state in ('open', 'learning') group by user_id
having (max(recorded_at) <= now() - make_interval(secs => $1::float8) or bool_or(state = 'learning')) and not stopped(user_id)
    and not exists (
        select from batches where batches.user_id = turns.user_id and kind = 'learn' and state = 'running' and retry_at > now()
    )
order by past, min(recorded_at) limit $2

-- name: ids_known
-- Of these ids ($2) those of facts that this person has, or had, or wants forgotten.
select fact_id as id from fact_changes where user_id = $1 and fact_id = any($2)
union select id from forgotten where user_id = $1 and id = any($2)

-- name: count_open_turns
select count(*) from turns where user_id = $1 and state in ('open', 'learning')

-- name: backlog
-- Of all users.
select count(*) as turns, greatest(0, coalesce(extract(epoch from now() - min(recorded_at)), 0))::float8 as oldest_s
from turns where state in ('open', 'learning')

-- name: dead_batches
-- $1 null: everybody's
select batch_id, kind, user_id, cardinality(turn_ids) as turns, coalesce(error, '') as error, created_at, finished_at
from batches where state = 'dead' and ($1::text is null or user_id = $1) order by finished_at

-- name: rerun_batches
-- $1 batch id, null: all dead ones
with again as (
    delete from batches where state = 'dead' and ($1::uuid is null or batch_id = $1) returning user_id, turn_ids, kind, agent_id
), opened as (
    update turns set state = 'open' from again
    where kind = 'learn' and turns.user_id = again.user_id and turn_id = any(again.turn_ids) and state = 'dead'
), due as (
    insert into graph_due (user_id, agent_id) select distinct user_id, agent_id from again where kind = 'graph' order by 1, 2
    on conflict (user_id, agent_id) do update set asked_at = clock_timestamp()
)
select distinct user_id from again

-- name: is_stopped
select stopped($1)

-- name: read_consent
-- Their last answer, under whichever of their ids.
select granted from consents where user_hash in (select user_hash(id) from unnest(person_of($1)) as person (id))
order by given_at desc limit 1

-- name: write_consent
-- $2 granted. clock_timestamp: what was said before this moment was said under the answer before
insert into consents (user_hash, granted, given_at) values (user_hash($1), $2, clock_timestamp())
on conflict (user_hash, given_at) do update set granted = excluded.granted

-- name: withdraw_consent
-- What they answered goes with the person; a "no" that was their last word stays, as a hash.
delete from consents one where user_hash = user_hash($1)
    and (granted or exists (select from consents later where later.user_hash = one.user_hash and later.given_at > one.given_at))

-- name: facts_learned_from
-- With all the turns they came from. $2 turn ids
select id, array(select turn_id from turns where user_id = $1 and ref = any(sources)) as turn_ids from facts
where user_id = $1 and ref in (
    select facts.ref from facts, unnest(sources) as source (turn_ref)
    where user_id = $1 and turn_ref in (select ref from turns where user_id = $1 and turn_id = any($2)))
union all select id, array(select jsonb_array_elements_text(fact -> 'turn_ids')::uuid) from archived_facts
where user_id = $1 and fact -> 'turn_ids' ?| $2::uuid[]::text[]

-- name: forget_turns
-- $2 turn ids; the index row goes with its turn
with gone as (
    delete from turns where user_id = $1 and turn_id = any($2) returning ref
), unposted as (
    delete from postings where user_id = $1 and ref in (select ref from gone)
)
select count(*) from gone

-- name: forget_facts
-- $2 fact ids
with gone as (
    delete from facts where user_id = $1 and id = any($2) returning ref
), unposted as (
    delete from postings where user_id = $1 and ref in (select ref from gone)
), archived as (
    delete from archived_facts where user_id = $1 and id = any($2)
)
select count(*) from gone

-- name: mark_forgotten
-- $2 ids of turns and facts
insert into forgotten (id, user_id) select unnest($2::uuid[]), $1 on conflict (id) do nothing

-- name: known_turns
-- Those of these turns ($2) that are stored, or were forgotten.
select turn_id as id from turns where user_id = $1 and turn_id = any($2)
union all select id from forgotten where user_id = $1 and id = any($2)

-- name: forgotten_since
-- $2 a time
select id from forgotten where user_id = $1 and forgotten_at >= $2

-- name: thin_batches
-- Work that has begun or waits no longer names these turns. $2 turn ids
update batches set turn_ids = array(select turn_id from unnest(turn_ids) with ordinality as one (turn_id, place)
    where turn_id <> all($2) order by place)
where user_id = $1 and state <> 'done' and turn_ids && $2

-- name: reopen_turns
-- What a forgotten fact was also learned from is learned again, without the rest. $2 turn ids
update turns set state = 'open' where user_id = $1 and turn_id = any($2) and state = 'learned' and not settled returning turn_id

-- name: notify_forgotten
-- $2 ids; at most a hundred fit into a notice
select pg_notify('echoic_memory', json_build_object('user', user_hash($1), 'call', '', 'gone', $2::uuid[])::text)

-- name: mark_graph_due
-- In the transaction that learns: the graphs of this agent and of those that keep the facts that ended. $2 agent $3 ids of ended facts
insert into graph_due (user_id, agent_id)
select $1, agent_id from (
    select $2::text as agent_id union select payload ->> 'kept_by' from facts where user_id = $1 and id = any($3)
) agents where coalesce(agent_id, '') <> '' order by agent_id
on conflict (user_id, agent_id) do update set asked_at = clock_timestamp()

-- name: mark_graphs_behind
-- In the transaction that forgets: the graphs hold what is gone, and rest until they have lost it.
with blanked as (
    update graph_groups set digest = '[]', refreshed_at = null where user_id = $1 returning agent_id
)
insert into graph_due (user_id, agent_id) select $1, agent_id from blanked order by agent_id
on conflict (user_id, agent_id) do update set asked_at = clock_timestamp()

-- name: all_graphs_moved
-- Nobody's in particular: they are on another server now, which may hold what they were there once. edges -1: to be begun anew.
update graph_groups set edges = -1, digest = '[]', refreshed_at = null

-- name: mark_all_graphs_behind
-- Nobody's in particular.
insert into graph_due (user_id, agent_id) select user_id, agent_id from graph_groups
on conflict (user_id, agent_id) do update set asked_at = clock_timestamp()

-- name: users_with_due_graphs
-- $1 is how many: nobody's in particular. Longest waiting first
select user_id from graph_due where not stopped(user_id) group by user_id order by min(asked_at) limit $1

-- name: due_graphs
select agent_id, asked_at from graph_due where user_id = $1 order by asked_at

-- name: graph_done
-- Unless more was learned meanwhile. $2 agent $3 when it was asked for
delete from graph_due where user_id = $1 and agent_id = $2 and asked_at = $3

-- name: graph_group
-- $2 agent. least: relations that it must hold, if its server has lost none; no graph holds enough that is to be begun anew
select case when edges < 0 then 2147483647 else (
    select count(*) from graph_entered entered where entered.group_id = graph_groups.group_id and kind = 'edge' and version <> ''
) end as least from graph_groups where user_id = $1 and agent_id = $2

-- name: add_graph_group
-- Before anything is put into it, so that an erasure knows of it. $2 agent $3 group
insert into graph_groups (user_id, agent_id, group_id) values ($1, $2, $3) on conflict (group_id) do nothing

-- name: reset_graph_group
-- Nothing stands in the graph any more: all is entered anew. $2 group
with emptied as (
    delete from graph_entered where user_id = $1 and group_id = $2
), unsaved as (
    delete from batches using graph_groups
    where batches.user_id = $1 and kind = 'graph' and state = 'running' and batches.agent_id = graph_groups.agent_id
    and graph_groups.user_id = $1 and graph_groups.group_id = $2
)
update graph_groups set edges = 0, digest = '[]' where user_id = $1 and group_id = $2

-- name: refresh_graph_group
-- Unless more was learned or forgotten meanwhile: then the graph may hold what was forgotten. $2 group $3 edges $4 digest $5 asked for when
update graph_groups set edges = $3, digest = $4, refreshed_at = now() where user_id = $1 and group_id = $2 and not exists (
    select from graph_due where graph_due.user_id = $1 and graph_due.agent_id = graph_groups.agent_id and asked_at > $5
)

-- name: graph_facts
-- What this agent was told, closed facts too, in the order it was learned; without what was given up. $2 agent
select id, payload from facts where user_id = $1 and payload ->> 'kept_by' = $2 and not exists (
    select from batches where user_id = $1 and kind = 'graph' and state = 'dead' and facts.id = any(turn_ids)
) order by ref

-- name: graph_fact_vectors
-- $2 ids
select id, vector from facts where user_id = $1 and id = any($2)

-- name: graph_entered
-- $2 group
select id, kind, version from graph_entered where user_id = $1 and group_id = $2

-- name: expect_in_graph
-- May stand in the graph from now on: version ''. $2 group $3 kind $4 ids
insert into graph_entered (user_id, group_id, kind, id, version) select $1, $2, $3, id, '' from unnest($4::uuid[]) as one (id)
on conflict (group_id, id) do nothing

-- name: enter_in_graph
-- $2 group $3 kind $4 ids $5 versions
insert into graph_entered (user_id, group_id, kind, id, version)
select $1, $2, $3, id, version from unnest($4::uuid[], $5::text[]) as one (id, version)
on conflict (group_id, id) do update set version = excluded.version

-- name: leave_graph
-- $2 group $3 ids
delete from graph_entered where user_id = $1 and group_id = $2 and id = any($3)

-- name: relations_entered
-- That there are any is noted at once: a server may lose them before they are counted. $2 group $3 how many
update graph_groups set edges = greatest(edges, least($3, 1)) where user_id = $1 and group_id = $2

-- name: user_graphs
select group_id, agent_id, refreshed_at from graph_groups where user_id = any(person_of($1)) order by agent_id

-- name: void_graphs
-- In the transaction that erases: whose graphs these were is forgotten, that they must be removed is not.
with void as (
    delete from graph_groups where user_id = $1 returning group_id
)
insert into graph_erasures (group_id, user_hash) select group_id, user_hash($1) from void on conflict (group_id) do nothing

-- name: void_graphs_of
-- $2 those too that were removed and are to be looked at once more
select group_id from graph_erasures where user_hash = user_hash($1) and ($2 or removed_at is null)

-- name: all_void_graphs
-- Nobody's in particular, longest waiting first: to be removed, or removed so many seconds ago ($1) and not looked at since.
-- Those that could not be removed, while others could, come last.
select group_id from graph_erasures where removed_at is null or removed_at < now() - make_interval(secs => $1)
order by failures, erased_at

-- name: void_graph_failed
-- $1 is the group here. $2 why, without words
update graph_erasures set failures = least(failures + 1, 1000), error = $2 where group_id = $1

-- name: void_graphs_that_fail
-- Nobody's in particular.
select group_id, error, erased_at from graph_erasures where failures >= 3 order by erased_at

-- name: void_graph_again
-- $1 is the group here.
update graph_erasures set failures = 0, error = null where group_id = $1

-- name: lock_void_graph
-- $1 is the group here: one at a time removes it, and who comes second finds that it is done. $2 seconds
select removed_at is not null as removed, removed_at < now() - make_interval(secs => $2) as settled
from graph_erasures where group_id = $1 for update

-- name: void_graph_is_removed
-- $1 is the group here.
update graph_erasures set removed_at = now() where group_id = $1

-- name: void_graph_is_gone
-- $1 is the group here.
delete from graph_erasures where group_id = $1

-- name: facts_saying
-- With exactly these words, closed ones too. $2 texts
select id from facts where user_id = $1 and payload ->> 'data' = any($2)
union all select id from archived_facts where user_id = $1 and fact ->> 'data' = any($2)

-- name: count_facts
-- $2 ids
select count(*) from facts where user_id = $1 and id = any($2)
