-- What is to be judged by programs, and what became of it.

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
