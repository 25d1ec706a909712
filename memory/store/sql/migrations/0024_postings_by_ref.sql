-- What is forgotten, archived or too old is removed by its number: without this, each time all words of everybody were read.
create index postings_by_ref on postings (user_id, ref);
