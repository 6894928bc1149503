-- Schema 2: runs over many cases. A run that is a study has a kind, and rows instead of goals.

alter table runs add column kind text not null default 'run';   -- run, batch or sweep
alter table runs add column about text not null default '{}';   -- JSON: what was asked for; opaque here

-- One row for each case and cell that has finished, latest outcome last. `names` and `ids` are what it computed, so that
-- its masks are found again; the names are the same in most rows, and are kept once.
create table names (
  number integer primary key,
  names text not null unique           -- JSON
);
create table studies (
  run integer not null references runs (number),
  place integer not null,              -- in the order of cases and cells
  name text not null,                  -- the case's
  settings text not null,              -- JSON: what the case and the cell set
  outcome text not null,               -- JSON; opaque here
  names integer not null references names (number),
  ids blob not null,                   -- one after the other
  primary key (run, place)
) without rowid;
