-- The statements about evaluations and rules.

-- name: insert_evaluation
INSERT INTO evaluations (project, id, definition, call, rule, state, priority, due_at, attempts, run, worker,
    wanted_at, started_at, ended_at, output, reason, requests, input_tokens, output_tokens, spent, unpriced)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: update_evaluation
UPDATE evaluations SET state = ?, priority = ?, due_at = ?, attempts = ?, run = ?, worker = ?,
    wanted_at = ?, started_at = ?, ended_at = ?, output = ?, reason = ?, requests = ?, input_tokens = ?,
    output_tokens = ?, spent = ?, unpriced = ?
WHERE pk = ?

-- name: evaluations_of_calls
-- The evaluations of calls (a JSON list of pks), in the order of evaluation_rows.COLUMNS.
SELECT e.pk, e.project, e.definition, e.call, e.rule, e.state, e.priority, e.due_at, e.attempts, e.run, e.worker,
    e.wanted_at, e.started_at, e.ended_at, e.output, e.reason, e.requests, e.input_tokens, e.output_tokens,
    e.spent, e.unpriced
FROM json_each(?) j CROSS JOIN evaluations e ON e.call = j.value

-- name: evaluations_by_pk
-- The same of evaluations (a JSON list of pks).
SELECT e.pk, e.project, e.definition, e.call, e.rule, e.state, e.priority, e.due_at, e.attempts, e.run, e.worker,
    e.wanted_at, e.started_at, e.ended_at, e.output, e.reason, e.requests, e.input_tokens, e.output_tokens,
    e.spent, e.unpriced
FROM json_each(?) j CROSS JOIN evaluations e ON e.pk = j.value

-- name: evaluations_running
-- The same of runs (a JSON list of ids) that somebody has claimed.
SELECT e.pk, e.project, e.definition, e.call, e.rule, e.state, e.priority, e.due_at, e.attempts, e.run, e.worker,
    e.wanted_at, e.started_at, e.ended_at, e.output, e.reason, e.requests, e.input_tokens, e.output_tokens,
    e.spent, e.unpriced
FROM json_each(?) j CROSS JOIN evaluations e ON e.run = j.value AND e.state = 1

-- name: evaluations_by_id
-- The same of evaluations of a project (a JSON list of ids).
SELECT e.pk, e.project, e.definition, e.call, e.rule, e.state, e.priority, e.due_at, e.attempts, e.run, e.worker,
    e.wanted_at, e.started_at, e.ended_at, e.output, e.reason, e.requests, e.input_tokens, e.output_tokens,
    e.spent, e.unpriced
FROM json_each(?) j CROSS JOIN evaluations e ON e.project = ? AND e.id = j.value

-- name: delete_details
DELETE FROM evaluation_details WHERE evaluation = ?

-- name: insert_details
INSERT INTO evaluation_details (evaluation, error, invocations) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET error = excluded.error, invocations = excluded.invocations

-- name: delete_evaluation
DELETE FROM evaluations WHERE pk = ?

-- name: change_evaluation_sums
INSERT INTO evaluation_sums (project, definition, wanted, running, done, failed, skipped, spent, last_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET wanted = wanted + excluded.wanted, running = running + excluded.running,
    done = done + excluded.done, failed = failed + excluded.failed, skipped = skipped + excluded.skipped,
    spent = spent + excluded.spent,
    last_at = CASE WHEN excluded.last_at > coalesce(last_at, excluded.last_at - 1)
        THEN excluded.last_at ELSE last_at END

-- name: change_rule_day
INSERT INTO rule_days (rule, day, wanted, left_out, spent) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET wanted = wanted + excluded.wanted, left_out = left_out + excluded.left_out,
    spent = spent + excluded.spent

-- name: definition_value
-- (pk of the reference, value) of a definition, where the reference is known already.
SELECT (SELECT r.pk FROM refs r WHERE r.text = ?1), o.value FROM objects o
WHERE o.project = ?2 AND o.kind = 'object' AND o.name = ?3 AND o.digest = ?4

-- name: ended_calls
-- Which of these calls (a JSON list of pks) have ended.
SELECT c.pk FROM json_each(?) j CROSS JOIN calls c ON c.pk = j.value
WHERE c.started_at IS NOT NULL AND c.ended_at IS NOT NULL

-- name: wake_evaluations
-- What waited for these calls (a JSON list of pks) may begin.
UPDATE evaluations SET due_at = ?1
WHERE call IN (SELECT value FROM json_each(?2)) AND state = 0 AND due_at IS NULL

-- name: ruled_projects
-- The projects that have active rules, and whether one of them is about more than root calls.
SELECT project, max(query <> '') FROM rules WHERE active = 1 GROUP BY project

-- name: put_into_inbox
INSERT INTO rule_inbox (project, call) VALUES (?, ?) ON CONFLICT DO NOTHING

-- name: insert_rule_name
INSERT INTO rule_names (project, name) VALUES (?, ?) ON CONFLICT DO NOTHING

-- name: rule_name_pk
SELECT pk FROM rule_names WHERE project = ? AND name = ?

-- name: open_definitions
-- Of which definitions something is wanted or running: (project, definition).
SELECT project, definition FROM evaluation_sums WHERE wanted + running > 0

-- name: due
-- What of a definition is due, by priority: (due_at, pk).
SELECT due_at, pk FROM evaluations INDEXED BY evaluations_due
WHERE definition = ? AND state < 2 AND priority = ? AND due_at <= ? ORDER BY due_at, pk LIMIT ?

-- name: next_due
-- When the next of a definition is due, by priority.
SELECT due_at FROM evaluations INDEXED BY evaluations_due
WHERE definition = ? AND state < 2 AND priority = ? AND due_at > ? ORDER BY due_at LIMIT 1

-- name: claimed
-- What a claim says of evaluations (a JSON list of pks): (pk, project, id, definition, call, rule).
SELECT e.pk, q.name, e.id, r.text, c.id
FROM json_each(?) j CROSS JOIN evaluations e ON e.pk = j.value
JOIN projects q ON q.pk = e.project JOIN refs r ON r.pk = e.definition JOIN calls c ON c.pk = e.call

-- name: claim
UPDATE evaluations SET state = 1, due_at = ?, attempts = ?, run = ?, worker = ?, started_at = ? WHERE pk = ?

-- name: postpone
UPDATE evaluations SET due_at = ? WHERE pk = ?

-- name: hasten
-- What waits for the next day (?2) because a rule (?3) of a project (?4) had no money left is due now (?1).
UPDATE evaluations INDEXED BY evaluations_due SET due_at = ?1
WHERE definition IN (SELECT s.definition FROM evaluation_sums s WHERE s.project = ?4 AND s.wanted + s.running > 0)
    AND priority IN (0, 1) AND due_at = ?2 AND state < 2 AND rule = ?3

-- name: extend
UPDATE evaluations SET due_at = ?1
WHERE state = 1 AND run IN (SELECT value FROM json_each(?2)) RETURNING run

-- name: rules_out_of_money
-- The rules that have spent on this day what they may.
SELECT d.rule FROM rules r CROSS JOIN rule_days d ON d.rule = r.rule AND d.day = ?
WHERE r.usd_per_day IS NOT NULL AND d.spent >= r.usd_per_day * 1e9

-- name: projects_by_name
-- (pk, name) of projects by name (a JSON list).
SELECT pk, name FROM projects WHERE name IN (SELECT value FROM json_each(?))

-- name: refs_by_text
-- The pks of references (a JSON list).
SELECT r.pk FROM json_each(?) j CROSS JOIN refs r ON r.text = j.value

-- name: replayed
-- Which of these runs, as a JSON list of [run, call id, reference], are the last of their evaluations.
SELECT e.run FROM json_each(?1) j CROSS JOIN calls c ON c.project = ?2 AND c.id = json_extract(j.value, '$[1]')
CROSS JOIN refs r ON r.text = json_extract(j.value, '$[2]')
CROSS JOIN evaluations e ON e.call = c.pk AND e.definition = r.pk AND e.run = json_extract(j.value, '$[0]')

-- name: ref_texts
-- (pk, text) of references (a JSON list of pks).
SELECT pk, text FROM refs WHERE pk IN (SELECT value FROM json_each(?))

-- name: call_ids
-- (pk, id) of calls (a JSON list of pks).
SELECT c.pk, c.id FROM json_each(?) j CROSS JOIN calls c ON c.pk = j.value

-- name: record_roots
-- Of these calls of a project (a JSON list of ids): (id, pk, trace, parent).
SELECT c.id, c.pk, c.trace_id, c.parent_id FROM json_each(?) j CROSS JOIN calls c ON c.project = ? AND c.id = j.value
WHERE c.started_at IS NOT NULL

-- name: roots_of_traces
-- How many calls without a parent each of these traces (a JSON list of ids) has.
SELECT j.value, (SELECT count(*) FROM calls c
    WHERE c.project = ?2 AND c.trace_id = j.value AND c.started_at IS NOT NULL AND c.parent_id IS NULL)
FROM json_each(?1) j

-- name: subtree
-- A call (a pk) of a project with all that it called, pks in the order in which they started.
WITH RECURSIVE below (pk, id) AS (
    SELECT c.pk, c.id FROM calls c WHERE c.pk = ?1
    UNION
    SELECT c.pk, c.id FROM below b CROSS JOIN calls c ON c.project = ?2 AND c.parent_id = b.id
    WHERE c.started_at IS NOT NULL
)
SELECT c.pk FROM below b CROSS JOIN calls c ON c.pk = b.pk ORDER BY c.started_at, c.pk LIMIT ?3

-- name: progress
-- How far each definition is, most recent first.
SELECT r.text, s.wanted, s.running, s.done, s.failed, s.skipped, s.spent, s.last_at
FROM evaluation_sums s JOIN refs r ON r.pk = s.definition
WHERE s.project = ? AND s.wanted + s.running + s.done + s.failed + s.skipped > 0
ORDER BY s.last_at IS NULL, s.last_at DESC, r.text

-- name: sums_of_project
-- (definition, reference, wanted, running, done, failed, skipped).
SELECT s.definition, r.text, s.wanted, s.running, s.done, s.failed, s.skipped
FROM evaluation_sums s JOIN refs r ON r.pk = s.definition WHERE s.project = ?

-- name: newest_of_state
-- The newest evaluations of a definition and state before a pk.
SELECT pk FROM evaluations WHERE definition = ? AND state = ? AND pk < ? ORDER BY pk DESC LIMIT ?

-- name: newest_of_rule
-- The newest evaluations of a definition and state that a rule wanted, before a pk.
SELECT pk FROM evaluations WHERE definition = ? AND state = ? AND rule = ? AND pk < ? ORDER BY pk DESC LIMIT ?

-- name: of_call
SELECT e.pk, e.definition, e.state, e.rule FROM evaluations e
WHERE e.call = (SELECT c.pk FROM calls c WHERE c.project = ? AND c.id = ?) AND e.pk < ? ORDER BY e.pk DESC

-- name: evaluation_pk
SELECT pk FROM evaluations WHERE project = ? AND id = ?

-- name: whole_evaluations
-- Evaluations (a JSON list of pks) as they are given out.
SELECT e.pk, e.id, r.text, c.id, o.name, e.state, e.output, e.reason, e.attempts, e.wanted_at, e.due_at,
    e.started_at, e.ended_at, e.worker, n.name, e.run, e.requests, e.input_tokens, e.output_tokens, e.spent,
    e.unpriced
FROM json_each(?) j CROSS JOIN evaluations e ON e.pk = j.value
JOIN refs r ON r.pk = e.definition JOIN calls c ON c.pk = e.call
LEFT JOIN ops o ON o.pk = c.op LEFT JOIN rule_names n ON n.pk = e.rule

-- name: details
-- (pk, error, invocations) of evaluations (a JSON list of pks).
SELECT d.evaluation, d.error, d.invocations FROM json_each(?) j CROSS JOIN evaluation_details d ON d.evaluation = j.value

-- name: known_of_calls
-- The evaluations of calls (a JSON list of pks) to a definition: (call, pk, state).
SELECT e.call, e.pk, e.state FROM json_each(?) j CROSS JOIN evaluations e ON e.call = j.value AND e.definition = ?

-- name: ids_of_ended
-- (pk, id) of those of these calls (a JSON list of pks) of a project that have ended, in their order.
SELECT c.pk, c.id FROM json_each(?) j CROSS JOIN calls c ON c.pk = j.value AND c.project = ?
WHERE c.started_at IS NOT NULL AND c.ended_at IS NOT NULL ORDER BY j.key

-- name: rules
-- The rules of a project, or of any, by name; one where a name is given.
SELECT q.name, n.name, r.definitions, r.query, r.sample, r.per_day, r.usd_per_day, r.active, r.author, r.created_at,
    r.updated_at, coalesce(d.wanted, 0), coalesce(d.spent, 0), coalesce(d.left_out, 0), r.rule
FROM rules r JOIN rule_names n ON n.pk = r.rule JOIN projects q ON q.pk = r.project
LEFT JOIN rule_days d ON d.rule = r.rule AND d.day = ?1
WHERE r.project = ?2 AND (?3 IS NULL OR n.name = ?3) ORDER BY n.name

-- name: save_rule
INSERT INTO rules (rule, project, definitions, query, sample, per_day, usd_per_day, active, author, created_at,
    updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET definitions = excluded.definitions, query = excluded.query, sample = excluded.sample,
    per_day = excluded.per_day, usd_per_day = excluded.usd_per_day, active = excluded.active,
    author = excluded.author, updated_at = excluded.updated_at

-- name: count_rules
SELECT count(*) FROM rules WHERE project = ?

-- name: delete_rule
DELETE FROM rules WHERE rule = ?

-- name: inbox
-- The calls that are to be held to the rules, of projects from this pk on: (project, call).
SELECT project, call FROM rule_inbox WHERE project >= ? ORDER BY project, call LIMIT ?

-- name: empty_inbox
DELETE FROM rule_inbox WHERE project = ? AND call IN (SELECT value FROM json_each(?)) RETURNING call

-- name: is_inbox_full
SELECT EXISTS (SELECT 1 FROM rule_inbox)

-- name: project_name
SELECT name FROM projects WHERE pk = ?

-- name: rule_day
-- (wanted, spent) of a rule on a day.
SELECT wanted, spent FROM rule_days WHERE rule = ? AND day = ?

-- name: delete_from_inbox
DELETE FROM rule_inbox WHERE project = ? AND call = ?

-- name: clear_sums
UPDATE evaluation_sums SET wanted = 0, running = 0, done = 0, failed = 0, skipped = 0, spent = 0
WHERE ?1 IS NULL OR project = ?1

-- name: known_ids
-- Which of these ids (a JSON list) evaluations of a project have.
SELECT e.id FROM json_each(?) j CROSS JOIN evaluations e ON e.project = ? AND e.id = j.value

-- name: evaluations_after
-- The evaluations of a project after a pk and up to another, as they are carried elsewhere.
SELECT e.pk, e.id, e.run, r.text, c.id, e.state, e.output, e.reason, d.error, d.invocations, e.requests,
    e.input_tokens, e.output_tokens, e.spent, e.unpriced, e.started_at, e.ended_at, n.name
FROM evaluations e NOT INDEXED JOIN refs r ON r.pk = e.definition JOIN calls c ON c.pk = e.call
LEFT JOIN evaluation_details d ON d.evaluation = e.pk LEFT JOIN rule_names n ON n.pk = e.rule
WHERE e.project = ? AND e.pk > ? AND e.pk <= ? ORDER BY e.pk

-- name: evaluations_carried
-- The same of some calls (a JSON list of ids).
SELECT e.pk, e.id, e.run, r.text, c.id, e.state, e.output, e.reason, d.error, d.invocations, e.requests,
    e.input_tokens, e.output_tokens, e.spent, e.unpriced, e.started_at, e.ended_at, n.name
FROM json_each(?1) j CROSS JOIN calls c ON c.project = ?2 AND c.id = j.value
CROSS JOIN evaluations e ON e.call = c.pk AND e.pk <= ?3 JOIN refs r ON r.pk = e.definition
LEFT JOIN evaluation_details d ON d.evaluation = e.pk LEFT JOIN rule_names n ON n.pk = e.rule
ORDER BY j.key, e.pk

-- name: recount_sums
-- The sums of evaluations from their rows, of one project or of all, after they were cleared.
INSERT INTO evaluation_sums (project, definition, wanted, running, done, failed, skipped, spent, last_at)
SELECT project, definition, sum(state = 0), sum(state = 1), sum(state = 2), sum(state = 3), sum(state = 4),
    sum(spent), max(ended_at)
FROM evaluations WHERE ?1 IS NULL OR project = ?1 GROUP BY project, definition
ON CONFLICT DO UPDATE SET wanted = excluded.wanted, running = excluded.running, done = excluded.done,
    failed = excluded.failed, skipped = excluded.skipped, spent = excluded.spent,
    last_at = coalesce(last_at, excluded.last_at)

-- name: drop_empty_sums
DELETE FROM evaluation_sums WHERE wanted = 0 AND running = 0 AND done = 0 AND failed = 0 AND skipped = 0
