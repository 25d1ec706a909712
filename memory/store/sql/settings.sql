-- What people and operators have chosen: user_settings, system_settings, providers.

-- name: export_settings
select memory, retention_days, language, timezone, updated_at from user_settings where user_id = $1

-- name: read_choices
select memory, retention_days, language, timezone from user_settings where user_id = $1

-- name: hold_choices
-- Two who change them wait for each other, also where there are none yet.
with made as (insert into user_settings (user_id) values ($1) on conflict (user_id) do nothing returning user_id)
select memory, retention_days, language, timezone from user_settings where user_id = $1 for update

-- name: write_choices
update user_settings set memory = $2, retention_days = $3, language = $4, timezone = $5, updated_at = clock_timestamp()
where user_id = $1

-- name: memory_on
update user_settings set memory = true, updated_at = clock_timestamp() where user_id = $1 and not memory

-- name: overrides
select name, value, secret from system_settings

-- name: put_override
insert into system_settings (name, value, secret) values ($1, $2, $3)
on conflict (name) do update set value = excluded.value, secret = excluded.secret, updated_at = clock_timestamp()

-- name: drop_overrides
delete from system_settings where name = any($1)

-- name: lock_settings
-- Whoever changes what the system uses does so alone: what is sent with an ETag is compared and written as one.
select pg_advisory_xact_lock(7310589)

-- name: list_providers
select provider_id, kind, name, type, fields, secrets, active, created_at, updated_at from providers order by kind, name

-- name: one_provider
select provider_id, kind, name, type, fields, secrets, active, created_at, updated_at from providers where provider_id = $1

-- name: add_provider
insert into providers (kind, name, type, fields, secrets) values ($1, $2, $3, $4, $5) returning provider_id

-- name: write_provider
update providers set name = $2, fields = $3, secrets = $4, updated_at = clock_timestamp() where provider_id = $1

-- name: rest_providers
-- What is active of a kind is so no longer. $1 kinds
update providers set active = false, updated_at = clock_timestamp() where active and kind = any($1)

-- name: activate_provider
update providers set active = true, updated_at = clock_timestamp() where provider_id = $1

-- name: delete_provider
delete from providers where provider_id = $1

-- name: count_vectors
select (select count(*) from facts where user_id is not null) as facts, (select count(*) from turns) as turns
