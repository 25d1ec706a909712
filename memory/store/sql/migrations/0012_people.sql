-- A person's turns in the order in which they were recorded: the last of each for the list of people, pages of one person's turns.
create index turns_by_ref on turns (user_id, ref);
