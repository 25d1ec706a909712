-- Another embedding model is taken over at once, and what is there is embedded behind those who call (memory/store/reembed.py).

-- Whether a model that is there has not embedded it: nothing has (a turn has no vector then, a fact has zeros), or of the local models
-- E5, or without it the one for sixteen languages.
create or replace function is_unfilled(vector halfvec, e5 boolean) returns boolean language sql immutable parallel safe set search_path from current as $$
    select case when $1 is null or vector_dims($1) <> 1280 then $1 is null or l2_norm($1) = 0
        else is_without_e5($1) and (e5 or l2_norm(subvector($1, 385, 512)) = 0) end
$$;

-- It takes 0.1 ms: to be asked once, and not for each row.
alter function person_of(text) cost 1000;
