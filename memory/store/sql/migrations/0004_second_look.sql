-- A graph server that hung may carry out a save that was given up before the erasure: removed graphs are looked at once more.
alter table graph_erasures add column removed_at timestamptz;
