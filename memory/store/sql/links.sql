-- Queries of memory/settings/links.py, and what changes rows of a whole person. $1 is one of their ids.

-- name: lock_links
-- One link at a time is made, so that two together cannot make a person of too many ids.
select pg_advisory_xact_lock(hashtextextended('links', 20261127))

-- name: add_link
-- $2 the other $3 by whom; nothing comes back when it was there
insert into links (user_id, other_id, made_by) values (least($1::text, $2), greatest($1, $2), $3)
on conflict do nothing returning user_id

-- name: remove_link
-- $2 the other
delete from links where (user_id, other_id) = (least($1::text, $2), greatest($1, $2)) returning user_id

-- name: links_of
select user_id, other_id, made_by, made_at from links where user_id = any(person_of($1)) order by made_at, user_id, other_id

-- name: person_of
select person_of($1)

-- name: read_along
-- Who turned their memory off under one id is not read under the others.
select coalesce(array_agg(id order by place), '{}') from unnest(person_of($1)) with ordinality as person (id, place)
where id <> $1 and not exists (select from user_settings where user_id = id and not memory)

-- name: notify_unlinked
select pg_notify('echoic_memory', json_build_object('user', user_hash($1), 'call', '', 'unlinked', true)::text)

-- name: owned
-- Those of these ids ($2) that are of a turn or fact of this user.
select turn_id as id from turns where user_id = $1 and turn_id = any($2)
union all select id from facts where user_id = $1 and id = any($2)
union all select id from archived_facts where user_id = $1 and id = any($2)

-- name: forget_links
delete from links where user_id = $1 or other_id = $1

-- name: lock_person_shared
-- As lock_user_shared, for all ids of the person; in one order, so that no two wait for each other.
select pg_advisory_xact_lock_shared(user_lock_key(id)) from (select id from unnest(person_of($1)) as person (id) order by id) person
