-- The memory API: who may ask it, what was asked, what happens while one looks, and a second wall between users.

-- A key is 256 random bits, so its SHA-256 needs neither salt nor a slow hash. A key for one person goes with that person.
create table api_keys (
    key_id     uuid primary key default gen_random_uuid(),
    key_hash   bytea not null unique,
    name       text not null,
    role       text not null check (role in ('admin', 'service', 'user')),
    user_id    text check ((role = 'user') = (user_id is not null)),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);

-- Who read, changed, exported and erased. No words; the person by hash, so that the trail outlives an erasure and says nothing.
create table audit (
    audit_id  bigint generated always as identity primary key,
    asked_at  timestamptz not null default clock_timestamp(),
    key_id    uuid,            -- null: without a key, in development
    key_name  text not null,
    action    text not null,   -- method and route, such as "GET /v1/users/{user_id}/facts"
    user_hash text,            -- null: nobody's in particular
    allowed   boolean not null
);
create index audit_by_time on audit (asked_at);

-- What was made under which idempotency key: asked twice, made once. A fact's words stand in the fact alone.
create table api_creations (
    key_id          uuid not null,
    idempotency_key text not null,
    user_id         text not null,
    request_hash    bytea not null,
    fact_id         uuid not null,
    created_at      timestamptz not null default now(),
    primary key (key_id, user_id, idempotency_key)
);

-- What happens, for whoever looks on: written by triggers, so that no process can leave one out. Ids and counts, no words.
-- An id is (xid, event_id): a transaction that commits late cannot slip in before what was read already.
create table events (
    event_id  bigint generated always as identity primary key,
    xid       xid8 not null default pg_current_xact_id(),
    at        timestamptz not null default clock_timestamp(),
    user_id   text,            -- null: of a person who was erased
    user_hash text not null,
    kind      text not null,
    data      jsonb not null
);
create index events_in_order on events (xid, event_id);
create index events_by_user on events (user_id);

create function tell(user_id text, kind text, data jsonb) returns void language plpgsql as $$
begin
    insert into events (user_id, user_hash, kind, data) values (tell.user_id, user_hash(tell.user_id), tell.kind, tell.data);
    perform pg_notify('echoic_events', '');
end $$;

create function tell_turn() returns trigger language plpgsql as $$
begin
    perform tell(new.user_id, 'turn.captured', jsonb_build_object('turn_id', new.turn_id, 'call_id', new.call_id,
        'agent_id', new.agent_id, 'role', new.role, 'interrupted', new.interrupted));
    return null;
end $$;
create trigger tell_turn after insert on turns for each row execute function tell_turn();

create function tell_batch() returns trigger language plpgsql as $$
declare
    work text := case new.kind when 'learn' then 'learning' else new.kind end;
    what jsonb := jsonb_build_object('batch_id', new.batch_id, 'turns', cardinality(new.turn_ids));
begin
    if new.state = 'done' and old.state <> 'done' then
        perform tell(new.user_id, work || '.done', what || jsonb_build_object('facts', new.facts));
    elsif new.state = 'dead' and old.state <> 'dead' then
        perform tell(new.user_id, work || '.given_up', what || jsonb_build_object('failures', new.failures));
    elsif new.failures > old.failures then
        perform tell(new.user_id, work || '.failed', what || jsonb_build_object('failures', new.failures, 'retry_at', new.retry_at));
    elsif new.starts > old.starts then
        perform tell(new.user_id, work || '.running', what);
    end if;
    return null;
end $$;
create trigger tell_batch after update on batches for each row execute function tell_batch();

create function tell_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        perform tell(new.user_id, 'fact.' || new.change, jsonb_build_object('fact_id', new.fact_id, 'batch_id', new.batch_id));
    elsif old.undone_at is null and new.undone_at is not null then
        perform tell(new.user_id, 'fact.undone', jsonb_build_object('fact_id', new.fact_id, 'change', new.change));
    end if;
    return null;
end $$;
create trigger tell_change after insert or update of undone_at on fact_changes for each row execute function tell_change();

create function tell_forgotten() returns trigger language plpgsql as $$
begin
    perform tell(new.user_id, 'memory.forgotten', jsonb_build_object('id', new.id));
    return null;
end $$;
create trigger tell_forgotten after insert on forgotten for each row execute function tell_forgotten();

create function tell_erased() returns trigger language plpgsql as $$
begin
    insert into events (user_hash, kind, data) values (new.user_hash, 'user.erased', '{}');
    perform pg_notify('echoic_events', '');
    return null;
end $$;
create trigger tell_erased after insert or update on erasures for each row execute function tell_erased();

-- Lists in the order in which facts were learned, page by page.
drop index facts_by_user;
create index facts_by_user on facts (user_id, ref);

-- The second wall: as the role echoic_api a connection sees one person, the one named in its transaction, whatever a query
-- leaves out. It changes nothing for any other role. The role belongs to the server, not to this database: see open_wall.
do $$
declare
    one text;
    mine text := '(current_user <> ''echoic_api'' or user_id = current_setting(''echoic.user_id'', true))';
begin
    foreach one in array array['turns', 'turn_index', 'facts', 'postings', 'fact_changes', 'batches', 'forgotten', 'events',
        'api_creations', 'graph_groups', 'graph_entered', 'graph_due']
    loop
        execute format('alter table %I enable row level security', one);
        execute format('create policy one_user on %I using %s with check %s', one, mine, mine);
    end loop;
end $$;

-- Called when the API starts: false where this database user may not make roles, and nobody has made echoic_api for it.
create function open_wall() returns boolean language plpgsql as $$
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
    grant select, insert, update, delete on turns, turn_index, facts, postings, fact_changes, batches, forgotten, events,
        api_creations, graph_groups, graph_entered, graph_due to echoic_api;
    grant select on settings, consents, erasures to echoic_api;
    grant usage on sequence memory_ref to echoic_api;
    return true;
exception when insufficient_privilege then return false;
end $$;
