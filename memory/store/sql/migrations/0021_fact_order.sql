-- The most important facts of a person, the last said first: a call begins with them, and should not read all of 50,000.
-- Times are ISO texts of one zone, so their order as text is that of time.
create index facts_by_importance on facts
    (user_id, ((payload ->> 'importance')::real) desc nulls last, ((payload ->> 'said_at') collate "C") desc nulls last);
