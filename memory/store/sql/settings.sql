-- What people and operators have chosen: user_settings, system_settings, providers.

-- name: export_settings
select retention_days, language, timezone, updated_at from user_settings where user_id = $1
