-- One person under several ids (a phone, a web user, a device): each link is a row that somebody made, and can be taken back.
-- Whatever is said or learned stays under the id of its channel, so that a link that is removed leaves nothing behind.
create table links (
    user_id  text not null,
    other_id text not null,
    made_by  text not null,
    made_at  timestamptz not null default clock_timestamp(),
    primary key (user_id, other_id),
    check (user_id < other_id)
);
create index links_by_other on links (other_id);

-- All ids of the person who has this one, that one first.
create function person_of(one text) returns text[] language sql stable as $$
    with recursive person (id) as (
        select one
        union
        select linked.id from person cross join lateral (
            select other_id as id from links where user_id = person.id
            union all select user_id from links where other_id = person.id
        ) linked
    )
    select array_agg(id order by id <> one, id) from person
$$;

-- When this person, under any of their ids, refused to be remembered; null: their last answer was yes, or they gave none.
create function refused_at(one text) returns timestamptz language sql stable as $$
    select case when not granted then given_at end from (
        select granted, given_at from consents
        where consents.user_hash in (select user_hash(id) from unnest(person_of(one)) as person (id))
        order by given_at desc limit 1
    ) last
$$;
create or replace function stopped(user_id text) returns boolean language sql stable as
$$ select refused_at(stopped.user_id) is not null $$;

-- The second wall shows one person: all of their ids. `open_wall` grants what the tables with a policy need.
do $$
declare
    one text;
    mine text := '(current_user <> ''echoic_api'' or user_id = any ((select nullif(current_setting(''echoic.user_ids'', true), '''')'
        '::text[])::text[]))';
begin
    alter table links enable row level security;
    create policy one_user on links using (true);
    for one in select tablename from pg_policies where schemaname = current_schema() and policyname = 'one_user' loop
        execute format('alter policy one_user on %I using %s with check %s', one, mine, mine);
    end loop;
end $$;
