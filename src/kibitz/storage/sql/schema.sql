-- The whole schema, to be read. Stores are made by the migrations; a test holds the two equal.
--
-- Names that many rows repeat are kept once and referred to by integer: rows and indexes stay narrow.

CREATE TABLE projects (
    pk INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,                    -- all times: microseconds since 1970, UTC
    search INTEGER NOT NULL DEFAULT 1               -- what the text index knows: 0 nothing, 1 words, 2 parts of words too
);

CREATE TABLE ops (
    pk INTEGER PRIMARY KEY,
    project INTEGER NOT NULL REFERENCES projects (pk),
    name TEXT NOT NULL,
    UNIQUE (project, name)
);

CREATE TABLE refs (
    pk INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

-- The last pk given out, by table. A pk is never used twice, even after a delete: the word index relies on it.
CREATE TABLE sequences (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) WITHOUT ROWID;

-- One row a call, narrow: what lists show. A row without started_at is a stub: something was said about
-- a call that has not arrived.
CREATE TABLE calls (
    pk INTEGER PRIMARY KEY,
    project INTEGER NOT NULL REFERENCES projects (pk),
    id TEXT NOT NULL,
    trace_id TEXT,
    parent_id TEXT,
    op INTEGER REFERENCES ops (pk),
    op_ref INTEGER REFERENCES refs (pk),
    kind TEXT,
    display_name TEXT,
    thread_id TEXT,
    author TEXT,
    started_at INTEGER,
    ended_at INTEGER,
    latency INTEGER,                                -- microseconds; NULL while running
    status TEXT,                                    -- running, success, error
    input_preview TEXT,
    output_preview TEXT,
    error TEXT,
    model TEXT,                                     -- this and what follows from summary, see base/usage.py
    input_tokens INTEGER,
    output_tokens INTEGER,
    tokens INTEGER,
    cost REAL                                       -- USD
);

CREATE UNIQUE INDEX calls_id ON calls (project, id);
CREATE INDEX calls_project ON calls (project);
CREATE INDEX calls_time ON calls (project, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX calls_root ON calls (project, started_at) WHERE parent_id IS NULL AND started_at IS NOT NULL;
CREATE INDEX calls_op ON calls (project, op, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX calls_trace ON calls (project, trace_id, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX calls_parent ON calls (project, parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX calls_error ON calls (project, started_at) WHERE status = 'error' AND started_at IS NOT NULL;
CREATE INDEX calls_running ON calls (project, started_at) WHERE status = 'running' AND started_at IS NOT NULL;
CREATE INDEX calls_thread ON calls (project, thread_id, started_at) WHERE thread_id IS NOT NULL;

-- The wide part of a call, apart, so that lists never read it. JSON text.
CREATE TABLE payloads (
    call INTEGER PRIMARY KEY REFERENCES calls (pk),
    inputs TEXT,
    output TEXT,
    attributes TEXT,
    summary TEXT,
    exception TEXT
);

-- Which calls have a word, by pk. A pre-filter only: every hit is checked on the row, so an entry that is
-- out of date does no harm.
CREATE VIRTUAL TABLE words USING fts5 (
    body, content = '', columnsize = 0, detail = none, tokenize = 'unicode61'
);

-- Calls whose words are not in the index yet; queries look at them one by one.
CREATE TABLE unworded (
    project INTEGER NOT NULL REFERENCES projects (pk),
    call INTEGER NOT NULL REFERENCES calls (pk),
    PRIMARY KEY (project, call)
) WITHOUT ROWID;

-- When the indexed calls of a block of pks (pk / 1024) started: a page of hits is looked for from the newest
-- block on. A block may say more than is so, never less.
CREATE TABLE word_blocks (
    project INTEGER NOT NULL REFERENCES projects (pk),
    block INTEGER NOT NULL,
    earliest INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    PRIMARY KEY (project, block)
) WITHOUT ROWID;

-- Every word of a project that is indexed by parts of words, and the three-letter parts of each.
CREATE TABLE terms (
    pk INTEGER PRIMARY KEY,
    project INTEGER NOT NULL REFERENCES projects (pk),
    text TEXT NOT NULL,
    UNIQUE (project, text)
);

CREATE VIRTUAL TABLE term_parts USING fts5 (
    text, content = '', columnsize = 0, detail = none, tokenize = 'trigram'
);

CREATE TABLE feedback_types (
    pk INTEGER PRIMARY KEY,
    project INTEGER NOT NULL REFERENCES projects (pk),
    name TEXT NOT NULL,
    rows INTEGER NOT NULL DEFAULT 0,
    unindexed INTEGER NOT NULL DEFAULT 0,           -- payloads with more leaves than scores keep
    UNIQUE (project, name)
);

CREATE TABLE authors (
    pk INTEGER PRIMARY KEY,
    project INTEGER NOT NULL REFERENCES projects (pk),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,                             -- person, model, program, import
    UNIQUE (project, name, kind)
);

-- Rows are only added. Which of them count is worked out anew, from all rows of a type on a call, whenever
-- one arrives (storage/standing.py), and kept in `stands`: 0 taken back or followed by a newer one of its author,
-- 1 the newest of its author, 2 and of all authors.
CREATE TABLE feedback (
    pk INTEGER PRIMARY KEY,
    project INTEGER NOT NULL REFERENCES projects (pk),
    id TEXT NOT NULL,
    type INTEGER NOT NULL REFERENCES feedback_types (pk),
    call INTEGER REFERENCES calls (pk),             -- the target where it is a call
    target INTEGER REFERENCES refs (pk),            -- the target where it is anything else
    author INTEGER NOT NULL REFERENCES authors (pk),
    created_at INTEGER NOT NULL,
    stands INTEGER NOT NULL,
    retracts TEXT,                                  -- the id of the feedback that this one takes back
    corrects TEXT,                                  -- the id of the feedback in whose place this one is said
    annotation_ref INTEGER REFERENCES refs (pk),
    runnable_ref INTEGER REFERENCES refs (pk),
    call_ref TEXT,                                  -- the id of the call that produced it
    trigger_ref INTEGER REFERENCES refs (pk),
    payload TEXT NOT NULL
);

CREATE UNIQUE INDEX feedback_id ON feedback (project, id);
CREATE INDEX feedback_call ON feedback (call, type, created_at) WHERE call IS NOT NULL;
CREATE INDEX feedback_retracts ON feedback (project, retracts) WHERE retracts IS NOT NULL;
CREATE INDEX feedback_target ON feedback (target, created_at) WHERE target IS NOT NULL;
CREATE INDEX feedback_type ON feedback (type, created_at);
CREATE INDEX feedback_time ON feedback (project, created_at);

-- One series is one leaf that feedback of a type may have.
CREATE TABLE series (
    pk INTEGER PRIMARY KEY,
    type INTEGER NOT NULL REFERENCES feedback_types (pk),
    path TEXT NOT NULL,
    bools INTEGER NOT NULL DEFAULT 0,               -- how many scores of each kind it has now
    numbers INTEGER NOT NULL DEFAULT 0,
    texts INTEGER NOT NULL DEFAULT 0,
    UNIQUE (type, path)
);

-- The leaves of the feedback that stands: what filter and sort read. No NULLs, so that (kind, num, text, call)
-- compares as one row value. kind: 1 bool, 2 number, 3 text. role says whose value it is:
--   1 the newest, and its author the only one      4 the newest, of several authors
--   2 an element of a list in the newest           0 of another author
--   3 the mean over several authors (source 0)     5 an element of a list of another author
CREATE TABLE scores (
    series INTEGER NOT NULL REFERENCES series (pk),
    call INTEGER NOT NULL REFERENCES calls (pk),
    source INTEGER NOT NULL,                        -- the feedback
    place INTEGER NOT NULL,                         -- which element of a list
    role INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    num REAL NOT NULL DEFAULT 0,
    text TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (series, call, source, place)
) WITHOUT ROWID;

CREATE INDEX scores_value ON scores (series, kind, num, text, call, role);

-- Sums kept with every write, for what would otherwise read every call.
CREATE TABLE rollups (
    project INTEGER NOT NULL REFERENCES projects (pk),
    op INTEGER NOT NULL REFERENCES ops (pk),
    hour INTEGER NOT NULL,                          -- hours since 1970
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    running INTEGER NOT NULL,
    latency INTEGER NOT NULL,                       -- microseconds, over calls that ended
    squares_high INTEGER NOT NULL DEFAULT 0,        -- of latency, over 2**30 …
    squares_low INTEGER NOT NULL DEFAULT 0,         -- … and the rest
    lengthy INTEGER NOT NULL DEFAULT 0,             -- calls too long for their square to be there
    bytes INTEGER NOT NULL,                         -- of payloads as stored
    PRIMARY KEY (project, op, hour)
) WITHOUT ROWID;

-- Sums of the scores of the newest judgement of each type on each call, by the day (since 1970, UTC) on which the
-- call started; see storage/sqlite/aggregating_sums.py. Of numbers only.
CREATE TABLE score_sums (
    series INTEGER NOT NULL REFERENCES series (pk),
    day INTEGER NOT NULL,
    n INTEGER NOT NULL,
    fractions INTEGER NOT NULL,                     -- how many are no whole numbers
    infinite INTEGER NOT NULL,                      -- how many are; these are in no sum
    total TEXT NOT NULL,                            -- exact: an integer over a power of two, both in hexadecimal
    squares TEXT NOT NULL,
    PRIMARY KEY (series, day)
) WITHOUT ROWID;

-- How many of these scores are of each value: booleans and short texts themselves, numbers by their first two
-- digits. kind 4 counts the texts that are too long to be categories.
CREATE TABLE score_buckets (
    series INTEGER NOT NULL REFERENCES series (pk),
    kind INTEGER NOT NULL,
    day INTEGER NOT NULL,
    num REAL NOT NULL,
    text TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (series, kind, day, num, text)
) WITHOUT ROWID;

CREATE TABLE objects (
    pk INTEGER PRIMARY KEY,
    project INTEGER NOT NULL REFERENCES projects (pk),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (project, kind, name, digest)
);

CREATE TABLE files (
    project INTEGER NOT NULL REFERENCES projects (pk),
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (project, digest)
);

-- Questions kept under names: a query and a sort in words, columns as a JSON list.
CREATE TABLE views (
    project INTEGER NOT NULL REFERENCES projects (pk),
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    sort TEXT NOT NULL,
    columns TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (project, name)
) WITHOUT ROWID;

-- The names of rules are kept when a rule is deleted: evaluations say in whose name they were wanted.
CREATE TABLE rule_names (
    pk INTEGER PRIMARY KEY,
    project INTEGER NOT NULL REFERENCES projects (pk),
    name TEXT NOT NULL,
    UNIQUE (project, name)
);

CREATE TABLE rules (
    rule INTEGER PRIMARY KEY REFERENCES rule_names (pk),
    project INTEGER NOT NULL REFERENCES projects (pk),
    definitions TEXT NOT NULL,                      -- references, a JSON list
    query TEXT NOT NULL,                            -- in words; empty for all root calls
    sample REAL NOT NULL,
    per_day INTEGER,
    usd_per_day REAL,
    active INTEGER NOT NULL,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE INDEX rules_project ON rules (project);

CREATE TABLE rule_days (
    rule INTEGER NOT NULL REFERENCES rule_names (pk),
    day INTEGER NOT NULL,                           -- since 1970, UTC
    wanted INTEGER NOT NULL,
    left_out INTEGER NOT NULL,
    spent INTEGER NOT NULL,                         -- billionths of a USD
    PRIMARY KEY (rule, day)
) WITHOUT ROWID;

-- Calls that ended while their project had an active rule, until somebody has held them to the rules.
CREATE TABLE rule_inbox (
    project INTEGER NOT NULL REFERENCES projects (pk),
    call INTEGER NOT NULL REFERENCES calls (pk),
    PRIMARY KEY (project, call)
) WITHOUT ROWID;

-- One definition applied to one record, narrow. state: 0 wanted, 1 running, 2 done, 3 failed, 4 skipped.
CREATE TABLE evaluations (
    pk INTEGER PRIMARY KEY,
    project INTEGER NOT NULL REFERENCES projects (pk),
    id TEXT NOT NULL,
    definition INTEGER NOT NULL REFERENCES refs (pk),
    call INTEGER NOT NULL REFERENCES calls (pk),
    rule INTEGER REFERENCES rule_names (pk),
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,                      -- 0 fresh, 1 behind everything that is fresh
    due_at INTEGER,                                 -- may begin, or its lease ends; NULL until its call has ended
    attempts INTEGER NOT NULL,
    run TEXT,                                       -- the last one; of one that is done also the id of its feedback
    worker TEXT,
    wanted_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    output TEXT,
    reason TEXT,
    requests INTEGER NOT NULL,                      -- this and what follows over all runs
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    spent INTEGER NOT NULL,                         -- billionths of a USD
    unpriced INTEGER NOT NULL
);

CREATE UNIQUE INDEX evaluations_record ON evaluations (call, definition);
CREATE UNIQUE INDEX evaluations_id ON evaluations (project, id);
CREATE INDEX evaluations_state ON evaluations (definition, state);
CREATE INDEX evaluations_due ON evaluations (definition, priority, due_at) WHERE state < 2;
CREATE INDEX evaluations_run ON evaluations (run) WHERE state = 1;
CREATE INDEX evaluations_rule ON evaluations (rule, definition, state) WHERE rule IS NOT NULL;

-- The wide part of an evaluation, apart. JSON text.
CREATE TABLE evaluation_details (
    evaluation INTEGER PRIMARY KEY REFERENCES evaluations (pk),
    error TEXT,
    invocations TEXT
);

-- How many evaluations of each definition there are of each state, kept with every write.
CREATE TABLE evaluation_sums (
    project INTEGER NOT NULL REFERENCES projects (pk),
    definition INTEGER NOT NULL REFERENCES refs (pk),
    wanted INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    spent INTEGER NOT NULL DEFAULT 0,               -- billionths of a USD
    last_at INTEGER,                                -- when the last run ended
    PRIMARY KEY (project, definition)
) WITHOUT ROWID;

CREATE INDEX evaluation_sums_open ON evaluation_sums (project, definition) WHERE wanted + running > 0;
