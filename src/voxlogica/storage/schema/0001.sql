-- Schema 1. Ids are the 32 bytes of content ids, times are seconds since 1970.

-- What became of each task. `kind`: 0 success, 1 definite failure, 2 failure by circumstance. `suffix` is fresh for each
-- row, so that a row can be told from its successors; a value that is not in `body` lies in blobs/aa/ID-SUFFIX.
-- `form` says how a body is read: a tag, and what else it takes, such as the space (`codec.py`); of a failure, whose body
-- is JSON, its kind. `digest` is that of form and body: SHA-256 of a blob, CRC-32 (a number) of what is in the row. `size`
-- counts the body's bytes, `memory` those of the value when opened.
create table outcomes (
  id blob not null primary key,
  suffix text not null,
  kind integer not null,
  form text not null,
  body blob,
  size integer not null default 0,
  digest,
  memory integer not null default 0,
  seconds real not null default 0,
  operator text not null default '',
  version integer not null default 0,
  arguments blob not null default x'', -- their ids, one after the other
  made real not null default 0,
  host text not null default '',
  libraries text not null default '[]',
  position text not null default '',
  used real not null default 0         -- the collection's level when it was last used
);

-- What collected values cost: who needs one pays for it again.
create table collected (
  id blob not null primary key,
  seconds real not null,
  arguments blob not null
);

-- Every formula below a published result, so that `why` can walk down to the files. Opaque to the store.
create table formulas (
  id blob not null primary key,
  operator text not null,
  version integer not null,
  space blob,
  arguments blob not null,
  parameters blob not null
);

-- What is known of files: the memo, by which an unchanged file is not read again to know its digest.
create table inputs (
  path text not null primary key,
  device integer not null,
  inode integer not null,
  size integer not null,
  mtime_ns integer not null,
  ctime_ns integer not null,
  digest blob not null,
  header text not null,                -- JSON; the reader's
  verified integer not null
);
create index inputs_by_digest on inputs (digest);

create table runs (
  number integer primary key autoincrement,
  program text not null,
  settings text not null,              -- JSON
  started real not null
);
create index runs_by_program on runs (program, settings, number);
create table goals (
  run integer not null references runs (number),
  place integer not null,              -- in the program
  name text not null,
  id blob not null,
  primary key (run, place)
) without rowid;

-- What is never collected, and for whose sake.
create table pins (
  name text not null,
  id blob not null,
  primary key (name, id)
) without rowid;

-- Tasks that were running when their process died, and how often that happened.
create table suspects (
  id blob not null primary key,
  times integer not null,
  killed integer not null default 0    -- of these: died alone in a process of its own, not by our hand
);

-- Numbers and texts about the store itself.
create table facts (
  name text not null primary key,
  value not null
) without rowid;
