-- Every answer to "may I remember?", with its time: what was said between a "no" and the next "yes" stays away, whenever it arrives.
alter table consents drop constraint consents_pkey, add primary key (user_hash, given_at);

-- Had this person, under any of their ids, refused to be remembered at that moment? Then their last answer before it was a no.
create function had_refused(one text, at timestamptz) returns boolean language sql stable as $$
    select coalesce((
        select not granted from consents
        where consents.user_hash in (select user_hash(id) from unnest(person_of(one)) as person (id)) and given_at <= at
        order by given_at desc limit 1
    ), false)
$$;
