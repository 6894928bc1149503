-- A store of schema 1, as `.dump` gives it: a number, a text, a failure, a run. Never edit: later versions must read it.
BEGIN TRANSACTION;
CREATE TABLE collected (
  id blob not null primary key,
  seconds real not null,
  arguments blob not null
);
CREATE TABLE facts (
  name text not null primary key,
  value not null
) without rowid;
INSERT INTO "facts" VALUES('added',10);
INSERT INTO "facts" VALUES('checked','d0cb3a96-d509-436a-8063-da07f851b191');
CREATE TABLE formulas (
  id blob not null primary key,
  operator text not null,
  version integer not null,
  space blob,
  arguments blob not null,
  parameters blob not null
);
CREATE TABLE goals (
  run integer not null references runs (number),
  place integer not null,              -- in the program
  name text not null,
  id blob not null,
  primary key (run, place)
) without rowid;
INSERT INTO "goals" VALUES(1,0,'a',X'B53335F8BFA3BD3B162E4E88724C34B307FDE2C900323F0FD2747CCADB4C9B40');
CREATE TABLE inputs (
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
CREATE TABLE outcomes (
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
INSERT INTO "outcomes" VALUES(X'B53335F8BFA3BD3B162E4E88724C34B307FDE2C900323F0FD2747CCADB4C9B40','c42a27ca7a20',0,'number',X'9A9999999999B93F',8,1316069902,32,0.5,'add',1,X'',0.0,'here','[["numpy","2.0"]]','',0.0);
INSERT INTO "outcomes" VALUES(X'89E41F0CE74061EE8733ED0CC67AA2E1A21EA04BDE9CFA80288787742540280B','20e7b249b059',0,'string',X'C3A9',2,2441672645,51,0.5,'add',1,X'',0.0,'here','[["numpy","2.0"]]','',0.0);
INSERT INTO "outcomes" VALUES(X'262554F74C89DE59EB053F829DF913F6536B9457EA200020D4F56513117BCD3A','0d996bdc4b4b',1,'definite','{"kind":"definite","type":"Refusal","message":"no component","details":["a","b"],"help":"draw one","traceback":"","task":null,"operator":"maxvol","position":"","attempt":1,"limits":[],"duration":0.0}',0,NULL,0,0.0,'maxvol',0,X'',1.79561980720996618274e+09,'','[]','',0.0);
CREATE TABLE pins (
  name text not null,
  id blob not null,
  primary key (name, id)
) without rowid;
CREATE TABLE runs (
  number integer primary key autoincrement,
  program text not null,
  settings text not null,              -- JSON
  started real not null
);
INSERT INTO "runs" VALUES(1,'a.imgql','{"hi":0.9}',12.0);
CREATE TABLE suspects (
  id blob not null primary key,
  times integer not null,
  killed integer not null default 0    -- of these: died alone in a process of its own, not by our hand
);
CREATE INDEX inputs_by_digest on inputs (digest);
CREATE INDEX runs_by_program on runs (program, settings, number);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',1);
COMMIT;
PRAGMA user_version = 1;
