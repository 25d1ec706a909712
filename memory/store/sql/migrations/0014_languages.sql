-- Vectors with a place for every language behind the one for English (memory/embedding/embedder.py). What was embedded before has
-- zeros there: English is found as before at once, and the worker fills them in (memory/store/reembed.py).

-- Vectors as these columns hold them; of any other model false.
create function is_other_language(vector halfvec) returns boolean language sql immutable parallel safe set search_path from current as $$
    select case when vector_dims($1) = 896 then l2_norm(subvector($1, 1, 384)) = 0 else false end
$$;

do $$
declare
    nothing text := '[0' || repeat(',0', 511) || ']';
begin
    if (select value from settings where key = 'embedding') = 'all-MiniLM-L6-v2-int8:384' then
        update turn_index set vector = vector || nothing::halfvec where vector is not null;
        update facts set vector = vector || nothing::vector where vector is not null;
        update settings set value = 'minilm-and-use:896' where key = 'embedding';
        insert into settings values ('refilled_to', '0');
        -- where the model of before was chosen over the API, it is the local model now
        delete from system_settings where name in ('embedding_model', 'embedding_dimensions') and exists (
            select from system_settings where name = 'embedding_model' and value = '"all-MiniLM-L6-v2-int8"');
        -- relations have vectors too: the worker enters them anew
        update graph_groups set refreshed_at = null;
        insert into graph_due (user_id, agent_id) select user_id, agent_id from graph_groups
        on conflict (user_id, agent_id) do update set asked_at = clock_timestamp();
    end if;
end $$;

create index turn_index_other_language on turn_index (user_id) where is_other_language(vector);
create index fact_index_other_language on fact_index (user_id) where is_other_language(vector);
