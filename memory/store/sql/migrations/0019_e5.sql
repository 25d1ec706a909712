-- Vectors with a place for a hundred languages behind the other two (memory/embedding/spaces.py). What was embedded before, and
-- wherever `echoic[languages]` is not installed, has zeros there; the worker fills them in (memory/store/reembed.py).

drop index turn_index_other_language;
drop index fact_index_other_language;

-- Vectors as these columns hold them; of any other model both are false.
create or replace function is_other_language(vector halfvec) returns boolean language sql immutable parallel safe set search_path from current as $$
    select case when vector_dims($1) = 1280 then l2_norm(subvector($1, 1, 384)) = 0 else false end
$$;
create function is_without_e5(vector halfvec) returns boolean language sql immutable parallel safe set search_path from current as $$
    select case when vector_dims($1) = 1280 then l2_norm(subvector($1, 897, 384)) = 0 else false end
$$;
-- Whether a model that is there has not embedded it: E5, or without it the one for sixteen languages.
create function is_unfilled(vector halfvec, e5 boolean) returns boolean language sql immutable parallel safe set search_path from current as $$
    select is_without_e5($1) and (e5 or l2_norm(subvector($1, 385, 512)) = 0)
$$;

do $$
declare
    nothing text := '[0' || repeat(',0', 383) || ']';
begin
    if (select value from settings where key = 'embedding') = 'minilm-and-use:896' then
        update turn_index set vector = vector || nothing::halfvec where vector is not null;
        update facts set vector = vector || nothing::vector where vector is not null;
        update settings set value = 'minilm-use-e5:1280' where key = 'embedding';
        -- where the models of before were chosen over the API, they are the local models now
        delete from system_settings where name in ('embedding_model', 'embedding_dimensions') and exists (
            select from system_settings where name = 'embedding_model' and value = '"minilm-and-use"');
        -- relations have vectors too: the worker enters them anew
        update graph_groups set refreshed_at = null;
        insert into graph_due (user_id, agent_id) select user_id, agent_id from graph_groups
        on conflict (user_id, agent_id) do update set asked_at = clock_timestamp();
    end if;
end $$;

create index turn_index_other_language on turn_index (user_id) where is_other_language(vector);
create index fact_index_other_language on fact_index (user_id) where is_other_language(vector);
create index turn_index_without_e5 on turn_index (user_id) where is_without_e5(vector);
create index fact_index_without_e5 on fact_index (user_id) where is_without_e5(vector);
