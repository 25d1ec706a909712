-- One bad element of a queue is passed by: how often a text could not be embedded, or a graph not be removed, while others could.
alter table turn_index add column refused smallint not null default 0;
drop index turn_index_unembedded;
create index turn_index_unembedded on turn_index (ref) where vector is null and refused < 3;

alter table graph_erasures
    add column failures smallint not null default 0,
    add column error    text;
