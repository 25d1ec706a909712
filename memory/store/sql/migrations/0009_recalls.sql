-- What memory gave a reply, beside the words of the reply: ids, milliseconds and how each tier fared, and no words.
alter table turns add column recall jsonb;

create or replace function tell_turn() returns trigger language plpgsql as $$
begin
    perform tell(new.user_id, 'turn.captured', jsonb_strip_nulls(jsonb_build_object('turn_id', new.turn_id, 'call_id', new.call_id,
        'agent_id', new.agent_id, 'role', new.role, 'interrupted', new.interrupted, 'recall', new.recall)));
    return null;
end $$;
