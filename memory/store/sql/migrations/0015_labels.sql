-- What another program told with a turn: its own metadata, its name for the conversation. Facts that are learned from it get the same.
alter table turns add column labels jsonb;
