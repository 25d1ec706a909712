-- What operators watch: the days as they went by, and what begins to wait for learning.

-- Rows lie in the order in which they were recorded, so a few kilobytes find a day, and writing pays nothing.
create index turns_by_time on turns using brin (recorded_at);

create or replace function tell_turn() returns trigger language plpgsql as $$
begin
    perform tell(new.user_id, 'turn.captured', jsonb_strip_nulls(jsonb_build_object('turn_id', new.turn_id, 'call_id', new.call_id,
        'agent_id', new.agent_id, 'role', new.role, 'interrupted', new.interrupted, 'recall', new.recall)));
    if new.state = 'open' and not exists (
        select from turns where user_id = new.user_id and state in ('open', 'learning') and turn_id <> new.turn_id
    ) then
        perform tell(new.user_id, 'learning.queued', jsonb_build_object('turn_id', new.turn_id));
    end if;
    return null;
end $$;
