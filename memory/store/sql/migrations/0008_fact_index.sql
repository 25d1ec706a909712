-- The narrow half of a fact, as turn_index is of a turn: all that ranking reads. A row of `facts` holds its payload too, three to
-- a page, and reading 50,000 of them for a question took most of its time.
create table fact_index (
    ref         bigint primary key references facts (ref) on delete cascade,
    user_id     text not null,
    agent_id    text,
    valid_until timestamptz,
    words       integer not null,
    sources     bigint[] not null,
    vector      halfvec not null
);
insert into fact_index
select ref, user_id, agent_id, valid_until, words, sources, vector from facts where user_id is not null order by user_id, ref;
create index fact_index_by_user on fact_index (user_id);

-- Mem0 writes facts as well, so the table keeps its index itself.
create function index_fact() returns trigger language plpgsql as $$
begin
    if new.user_id is null then
        delete from fact_index where ref = new.ref;
    else
        insert into fact_index values (new.ref, new.user_id, new.agent_id, new.valid_until, new.words, new.sources, new.vector)
        on conflict (ref) do update set user_id = excluded.user_id, agent_id = excluded.agent_id,
            valid_until = excluded.valid_until, words = excluded.words, sources = excluded.sources, vector = excluded.vector;
    end if;
    return null;
end $$;
create trigger index_fact after insert or update on facts for each row execute function index_fact();

alter table fact_index enable row level security;
create policy one_user on fact_index
    using (current_user <> 'echoic_api' or user_id = current_setting('echoic.user_id', true))
    with check (current_user <> 'echoic_api' or user_id = current_setting('echoic.user_id', true));

-- As before, for every table that has the wall.
create or replace function open_wall() returns boolean language plpgsql as $$
declare
    one regclass;
begin
    if not exists (select from pg_roles where rolname = 'echoic_api') then
        begin
            create role echoic_api nologin;
        exception when duplicate_object or unique_violation then null;
        end;
    end if;
    if not pg_has_role('echoic_api', 'set') then
        execute format('grant echoic_api to %I', current_user);
    end if;
    execute format('grant usage on schema %I to echoic_api', current_schema());
    for one in select oid from pg_class where relnamespace = current_schema()::regnamespace and relkind = 'r' and relrowsecurity
    loop
        execute format('grant select, insert, update, delete on %s to echoic_api', one);
    end loop;
    grant select on settings, consents, erasures to echoic_api;
    grant usage on sequence memory_ref to echoic_api;
    return true;
exception when insufficient_privilege then return false;
end $$;
