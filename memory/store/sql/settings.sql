-- What people and operators have chosen: user_settings, system_settings, providers.

-- name: export_settings
select memory, retention_days, language, timezone, updated_at from user_settings where user_id = $1

-- name: read_choices
select memory, retention_days, language, timezone from user_settings where user_id = $1

-- name: begin_choices
insert into user_settings (user_id) values ($1) on conflict (user_id) do nothing

-- name: hold_choices
-- Two who change them wait for each other.
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
select provider_id, kind, name, type, fields, secrets, secret_names, active, created_at, updated_at from providers order by kind, name

-- name: one_provider
select provider_id, kind, name, type, fields, secrets, secret_names, active, created_at, updated_at from providers where provider_id = $1

-- name: add_provider
insert into providers (kind, type, name) values ($1, $2, $3) returning provider_id

-- name: write_provider
update providers set name = $2, fields = $3, secrets = $4, secret_names = $5, updated_at = clock_timestamp() where provider_id = $1

-- name: rest_providers
-- What is active of a kind is so no longer. $1 kinds
update providers set active = false, updated_at = clock_timestamp() where active and kind = any($1)

-- name: activate_provider
update providers set active = true, updated_at = clock_timestamp() where provider_id = $1

-- name: delete_provider
delete from providers where provider_id = $1

-- name: count_vectors
select (select count(*) from facts where user_id is not null) as facts, (select count(*) from turns) as turns

-- name: locked_overrides
select name, secret from system_settings where secret is not null

-- name: relock_override
update system_settings set secret = $2 where name = $1

-- name: locked_providers
select provider_id, secrets from providers where secrets is not null

-- name: relock_provider
update providers set secrets = $2 where provider_id = $1
