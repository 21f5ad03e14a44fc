-- The statements of the embedded store that are always the same. What depends on a query is compiled in
-- query/sql.py and put together in storage/sqlite/planning.py.

-- name: standing_calls
-- Which of these ids (a JSON list) a project has, as (id, pk).
SELECT c.id, c.pk FROM json_each(?) e CROSS JOIN calls c ON c.project = ? AND c.id = e.value

-- name: insert_call
INSERT INTO calls (pk, project, id, trace_id, parent_id, op, op_ref, kind, display_name, thread_id,
    author, started_at, ended_at, latency, status, input_preview, output_preview, error,
    model, input_tokens, output_tokens, tokens, cost)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: update_call
UPDATE calls SET trace_id = ?, parent_id = ?, op = ?, op_ref = ?, kind = ?, display_name = ?,
    thread_id = ?, author = ?, started_at = ?, ended_at = ?, latency = ?, status = ?,
    input_preview = ?, output_preview = ?, error = ?,
    model = ?, input_tokens = ?, output_tokens = ?, tokens = ?, cost = ?
WHERE pk = ?

-- name: read_call_row
-- Every column that parts of a call can say something about, in the order of merging.FIELDS.
SELECT c.trace_id, c.parent_id, c.op, c.op_ref, c.kind, c.display_name, c.thread_id, c.author,
    c.started_at, c.ended_at, c.input_preview, c.output_preview, c.error,
    p.inputs, p.output, p.attributes, p.summary, p.exception
FROM calls c LEFT JOIN payloads p ON p.call = c.pk WHERE c.pk = ?

-- name: delete_payload
DELETE FROM payloads WHERE call = ?

-- name: insert_payload
INSERT INTO payloads (call, inputs, output, attributes, summary, exception) VALUES (?, ?, ?, ?, ?, ?)

-- name: forget_words
DELETE FROM unworded WHERE project = ? AND call = ?

-- name: extent
-- What a project has now: the last call, the last feedback, and how many of each, of objects and of files; the last
-- evaluation, and how many of these and of rules.
SELECT (SELECT coalesce(max(c.pk), 0) FROM calls c WHERE c.project = ?1),
    (SELECT coalesce(max(f.pk), 0) FROM feedback f WHERE f.project = ?1),
    (SELECT coalesce(sum(r.calls), 0) FROM rollups r WHERE r.project = ?1),
    (SELECT coalesce(sum(t.rows), 0) FROM feedback_types t WHERE t.project = ?1),
    (SELECT count(*) FROM objects o WHERE o.project = ?1),
    (SELECT count(*) FROM files i WHERE i.project = ?1),
    (SELECT coalesce(max(e.pk), 0) FROM evaluations e),
    (SELECT coalesce(sum(s.wanted + s.running + s.done + s.failed + s.skipped), 0) FROM evaluation_sums s
        WHERE s.project = ?1),
    (SELECT count(*) FROM rules r WHERE r.project = ?1)

-- name: objects_after
-- The versions of a project after a pk: (pk, kind, name, digest, version, created_at, value).
SELECT pk, kind, name, digest, version, created_at, value FROM objects
WHERE project = ? AND pk > ? ORDER BY pk

-- name: digests_after
SELECT digest FROM files WHERE project = ? AND digest > ? ORDER BY digest LIMIT ?

-- name: standing_pks
-- Those of these calls (a JSON list of pks) that a project has and shows.
SELECT c.pk FROM json_each(?1) e CROSS JOIN calls c
ON c.pk = e.value AND c.project = ?2 AND c.started_at IS NOT NULL

-- name: delete_call
DELETE FROM calls WHERE pk = ?

-- name: delete_empty_rollups
DELETE FROM rollups WHERE project = ? AND calls = 0

-- name: add_to_rollup
INSERT INTO rollups (project, op, hour, calls, errors, running, latency, bytes, squares_high, squares_low, lengthy)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, errors = errors + excluded.errors,
    running = running + excluded.running, latency = latency + excluded.latency,
    bytes = bytes + excluded.bytes, squares_high = squares_high + excluded.squares_high,
    squares_low = squares_low + excluded.squares_low, lengthy = lengthy + excluded.lengthy

-- name: score_sum
SELECT total, squares FROM score_sums WHERE series = ? AND day = ?

-- name: change_score_sum
INSERT INTO score_sums (series, day, n, fractions, infinite, total, squares) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET n = n + excluded.n, fractions = fractions + excluded.fractions,
    infinite = infinite + excluded.infinite, total = excluded.total, squares = excluded.squares

-- name: change_score_bucket
INSERT INTO score_buckets (series, kind, day, num, text, n) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET n = n + excluded.n

-- name: drop_empty_score_sum
DELETE FROM score_sums WHERE series = ? AND day = ? AND n = 0

-- name: drop_empty_score_bucket
DELETE FROM score_buckets WHERE series = ? AND kind = ? AND day = ? AND num = ? AND text = ? AND n = 0

-- name: starts_of_calls
-- When these calls (a JSON list of pks) started, those that have arrived.
SELECT c.pk, c.started_at FROM json_each(?) e CROSS JOIN calls c
ON c.pk = e.value AND c.started_at IS NOT NULL

-- name: kept_scores
-- The scores of these calls (a JSON list of pks) that sums are kept of: (series, call, kind, num, text).
SELECT x.series, x.call, x.kind, x.num, x.text
FROM json_each(?) e CROSS JOIN feedback f ON f.call = e.value AND f.stands = 2
CROSS JOIN series s ON s.type = f.type
CROSS JOIN scores x ON x.series = s.pk AND x.call = f.call AND x.source = f.pk AND x.role IN (1, 4)

-- name: every_kept_score
-- The scores of a series that sums are kept of: (started_at, kind, num, text).
SELECT c.started_at, x.kind, x.num, x.text
FROM scores x CROSS JOIN calls c ON c.pk = x.call
WHERE x.series = ? AND x.role IN (1, 4) AND c.started_at IS NOT NULL

-- name: calls_by_op_and_hour
-- (op, hour or day, calls, errors, running, latency, squares high, squares low, lengthy) between two hours.
SELECT r.op, CASE WHEN ?4 = 1 THEN r.hour ELSE (r.hour - (r.hour < 0) * (?4 - 1)) / ?4 END AS at, sum(r.calls), sum(r.errors), sum(r.running), sum(r.latency), sum(r.squares_high),
    sum(r.squares_low), sum(r.lengthy)
FROM rollups r WHERE r.project = ?1 AND r.hour >= ?2 AND r.hour < ?3 GROUP BY r.op, at HAVING sum(r.calls) > 0

-- name: score_sums_by_day
SELECT day, n, fractions, infinite, total, squares FROM score_sums WHERE series = ? AND day >= ? AND day < ?

-- name: score_buckets_by_day
SELECT kind, day, num, text, n FROM score_buckets WHERE series = ? AND kind IN (SELECT value FROM json_each(?))
AND day >= ? AND day < ?

-- name: drop_empty_rollup
DELETE FROM rollups WHERE project = ? AND op = ? AND hour = ? AND calls = 0

-- name: await_words
INSERT INTO unworded (project, call) VALUES (?, ?) ON CONFLICT DO NOTHING

-- name: await_all_words
INSERT INTO unworded (project, call)
SELECT project, pk FROM calls WHERE project = ? AND started_at IS NOT NULL ON CONFLICT DO NOTHING

-- name: await_no_words
DELETE FROM unworded WHERE project = ?

-- name: without_words
-- The calls of a project, or of any, that have waited longest for the text index, with what their words come from.
SELECT u.project, u.call, q.search, c.started_at, p.inputs, p.attributes, p.output
FROM unworded u JOIN projects q ON q.pk = u.project
LEFT JOIN calls c ON c.pk = u.call LEFT JOIN payloads p ON p.call = u.call
WHERE ?1 IS NULL OR u.project = ?1 ORDER BY u.project, u.call LIMIT ?2

-- name: insert_words
INSERT INTO words (rowid, body) VALUES (?, ?)

-- name: words_are_in
DELETE FROM unworded WHERE project = ? AND call = ?

-- name: widen_block
INSERT INTO word_blocks (project, block, earliest, latest) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest)

-- name: delete_blocks
DELETE FROM word_blocks WHERE project = ?

-- name: blocks_within
SELECT block, earliest, latest FROM word_blocks WHERE project = ? AND latest >= ? AND earliest <= ?

-- name: unknown_terms
-- Which of these words (a JSON list) a project does not have.
SELECT e.value FROM json_each(?) e
WHERE NOT EXISTS (SELECT 1 FROM terms t WHERE t.project = ? AND t.text = e.value)

-- name: last_term
SELECT coalesce(max(pk), 0) FROM terms

-- name: insert_term
INSERT INTO terms (pk, project, text) VALUES (?, ?, ?)

-- name: insert_term_parts
INSERT INTO term_parts (rowid, text) VALUES (?, ?)

-- name: search_level
SELECT search FROM projects WHERE pk = ?

-- name: set_search_level
UPDATE projects SET search = ? WHERE pk = ?

-- name: searched_projects
SELECT pk FROM projects WHERE search > 0

-- name: search_state
-- (level, calls that wait, different words).
SELECT q.search, (SELECT count(*) FROM unworded u WHERE u.project = q.pk),
    (SELECT count(*) FROM terms t WHERE t.project = q.pk)
FROM projects q WHERE q.pk = ?

-- name: last_pk
SELECT last FROM sequences WHERE name = ?

-- name: keep_last_pk
INSERT INTO sequences (name, last) VALUES (?, ?) ON CONFLICT DO UPDATE SET last = excluded.last

-- name: insert_feedback
INSERT INTO feedback (pk, project, id, type, call, target, author, created_at, stands, retracts, corrects,
    annotation_ref, runnable_ref, call_ref, trigger_ref, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: standing_feedback
-- Which of these ids (a JSON list) a project has.
SELECT f.id FROM json_each(?) e CROSS JOIN feedback f ON f.project = ? AND f.id = e.value

-- name: feedback_on_calls
-- All feedback on calls (a JSON list of pks): (call, type, pk, id, author, created_at, retracts, stands).
SELECT f.call, f.type, f.pk, f.id, f.author, f.created_at, f.retracts, f.stands
FROM json_each(?) e CROSS JOIN feedback f ON f.call = e.value

-- name: judgements_of_calls
-- All feedback on calls (a JSON list of pks): (pk, call, type, payload).
SELECT f.pk, f.call, f.type, f.payload FROM json_each(?) e CROSS JOIN feedback f ON f.call = e.value

-- name: judgements_of_refs
-- All feedback on what is no call, by the texts of references (a JSON list): (pk, type, payload).
SELECT f.pk, f.type, f.payload FROM json_each(?) e CROSS JOIN refs r ON r.text = e.value
CROSS JOIN feedback f ON f.target = r.pk

-- name: delete_feedback
DELETE FROM feedback WHERE pk = ?

-- name: count_on_calls
-- How many judgements are on calls (a JSON list of pks).
SELECT count(*) FROM json_each(?) e CROSS JOIN feedback f ON f.call = e.value

-- name: traces_of_calls
-- The traces of calls (a JSON list of pks).
SELECT DISTINCT c.trace_id FROM json_each(?) e CROSS JOIN calls c ON c.pk = e.value

-- name: calls_of_traces
-- The calls of the traces of a project (a JSON list of ids).
SELECT c.pk FROM json_each(?1) e CROSS JOIN calls c
ON c.project = ?2 AND c.trace_id = e.value AND c.started_at IS NOT NULL

-- name: traces_without_calls
-- Those of some traces (a JSON list of ids) that a project has no call of.
SELECT e.value FROM json_each(?1) e WHERE NOT EXISTS (
    SELECT 1 FROM calls c WHERE c.project = ?2 AND c.trace_id = e.value AND c.started_at IS NOT NULL
)

-- name: ids_of_calls
-- The ids of calls (a JSON list of pks), in their order.
SELECT c.id FROM json_each(?) e CROSS JOIN calls c ON c.pk = e.value ORDER BY e.key

-- name: feedback_on_target
-- All feedback of a type on a target that is no call: (pk, id, author, created_at, retracts, stands).
-- Kept from the index by type, which may have millions.
SELECT pk, id, author, created_at, retracts, stands FROM feedback WHERE target = ? AND +type = ?

-- name: who_said
-- (author, kind, type, id of the call, other target) of a feedback.
SELECT w.name, w.kind, t.name, c.id, g.text FROM feedback f
JOIN authors w ON w.pk = f.author JOIN feedback_types t ON t.pk = f.type
LEFT JOIN calls c ON c.pk = f.call LEFT JOIN refs g ON g.pk = f.target
WHERE f.project = ? AND f.id = ?

-- name: who_answered
-- (id, author, created_at, stands) of the feedback of a type on a call, or on another target, without retractions.
SELECT id, author, created_at, stands FROM feedback
WHERE +type = ?1 AND retracts IS NULL AND (call = ?2 OR target = ?3)

-- name: visible_calls
-- Which of these calls (a JSON list of ids) a project has.
SELECT c.id FROM json_each(?) e CROSS JOIN calls c ON c.project = ? AND c.id = e.value
WHERE c.started_at IS NOT NULL

-- name: what_is_said
-- (id, type, id of the call, other target, author, retracts, corrects, payload) of these feedbacks (a JSON list of ids).
SELECT f.id, t.name, c.id, g.text, w.name, f.retracts, f.corrects, f.payload
FROM json_each(?) e CROSS JOIN feedback f ON f.project = ? AND f.id = e.value
JOIN authors w ON w.pk = f.author JOIN feedback_types t ON t.pk = f.type
LEFT JOIN calls c ON c.pk = f.call LEFT JOIN refs g ON g.pk = f.target

-- name: which_stand
-- (id, stands) of these feedbacks (a JSON list of ids).
SELECT f.id, f.stands FROM json_each(?) e CROSS JOIN feedback f ON f.project = ? AND f.id = e.value

-- name: which_taken_back
-- Which of these feedbacks (a JSON list of ids) somebody has taken back.
SELECT DISTINCT f.retracts FROM json_each(?) e CROSS JOIN feedback f ON f.project = ? AND f.retracts = e.value

-- name: version_value
SELECT value FROM objects WHERE project = ? AND kind = ? AND name = ? AND digest = ?

-- name: op_name
SELECT name FROM ops WHERE pk = ?

-- name: payload_of_feedback
SELECT payload FROM feedback WHERE pk = ?

-- name: let_stand
UPDATE feedback SET stands = ? WHERE pk = ?

-- name: count_feedback
UPDATE feedback_types SET rows = rows + ?, unindexed = unindexed + ? WHERE pk = ?

-- name: insert_score
INSERT INTO scores (series, call, source, place, role, kind, num, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: standing_scores
-- The scores of a call that come from one feedback type, as (series, kind, role, place, num, text).
SELECT x.series, x.kind, x.role, x.place, x.num, x.text FROM series s CROSS JOIN scores x ON x.series = s.pk AND x.call = ?
WHERE s.type = ?

-- name: delete_score
DELETE FROM scores WHERE series = ? AND call = ?

-- name: count_scores
UPDATE series SET bools = bools + ?, numbers = numbers + ?, texts = texts + ? WHERE pk = ?

-- name: insert_object
-- A version counts up within its name; one that is there already stays as it is.
INSERT INTO objects (project, kind, name, digest, version, created_at, value)
SELECT ?1, ?2, ?3, ?4,
    (SELECT coalesce(max(version) + 1, 0) FROM objects WHERE project = ?1 AND kind = ?2 AND name = ?3),
    ?5, ?6
WHERE true
ON CONFLICT DO NOTHING

-- name: insert_file
INSERT INTO files (project, digest, media_type, content) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: score_count
-- How many calls have a value in a series.
SELECT coalesce(max(bools + numbers + texts), 0) FROM series WHERE pk = ?

-- name: kinds_of_series
SELECT bools, numbers, texts FROM series WHERE pk = ?

-- name: count_calls
SELECT coalesce(sum(calls), 0) FROM rollups WHERE project = ?

-- name: visible_call
SELECT pk FROM calls WHERE project = ? AND id = ? AND started_at IS NOT NULL

-- name: ops
-- (op, calls), most called first.
SELECT o.name, sum(r.calls) AS n FROM rollups r JOIN ops o ON o.pk = r.op
WHERE r.project = ? GROUP BY o.pk HAVING n > 0 ORDER BY n DESC, o.name

-- name: status_counts
-- (calls, errors, running).
SELECT coalesce(sum(calls), 0), coalesce(sum(errors), 0), coalesce(sum(running), 0)
FROM rollups WHERE project = ?

-- name: type_counts
-- (type, feedback), most used first.
SELECT name, rows FROM feedback_types WHERE project = ? AND rows > 0 ORDER BY rows DESC, name

-- name: author_names
SELECT DISTINCT name FROM authors WHERE project = ? ORDER BY name LIMIT ?

-- name: newest_payloads
-- The values of the newest calls, in the order of query.fields.ROOTS.
SELECT p.inputs, p.output, p.attributes, p.summary FROM calls c JOIN payloads p ON p.call = c.pk
WHERE c.project = ? AND c.started_at IS NOT NULL ORDER BY c.started_at DESC LIMIT ?

-- name: texts_of_series
-- The different texts of a series, in order: each step is one search of the index.
WITH RECURSIVE found (text) AS (
    SELECT min(text) FROM scores WHERE series = ?1 AND kind = ?2 AND num = 0
    UNION ALL
    SELECT (SELECT min(s.text) FROM scores s
            WHERE s.series = ?1 AND s.kind = ?2 AND s.num = 0 AND s.text > found.text)
    FROM found WHERE found.text IS NOT NULL LIMIT ?3
)
SELECT text FROM found WHERE text IS NOT NULL

-- name: count_text
SELECT count(*) FROM (SELECT 1 FROM scores WHERE series = ? AND kind = ? AND num = 0 AND text = ? LIMIT ?)

-- name: by_op_and_day
-- (op, day in UTC, calls, errors, mean latency in ms of the calls that ended).
SELECT o.name, date(r.hour / 24 * 86400, 'unixepoch') AS day, sum(r.calls), sum(r.errors),
    sum(r.latency) / 1000.0 / nullif(sum(r.calls - r.running), 0)
FROM rollups r JOIN ops o ON o.pk = r.op
WHERE r.project = ? AND r.hour >= ?
GROUP BY r.op, r.hour / 24 HAVING sum(r.calls) > 0 ORDER BY day, o.name

-- name: scores_of_calls
-- The scores of calls (a JSON list of pks) in the most used series: (call, type, path, kind, num, text).
WITH used AS MATERIALIZED (
    SELECT s.pk, t.name, s.path
    FROM projects q JOIN feedback_types t ON t.project = q.pk JOIN series s ON s.type = t.pk
    WHERE q.name = ? ORDER BY s.bools + s.numbers + s.texts DESC, s.pk LIMIT ?
)
SELECT x.call, u.name, u.path, x.kind, x.num, x.text
FROM used u CROSS JOIN json_each(?) e
CROSS JOIN scores x ON x.series = u.pk AND x.call = e.value AND x.role IN (1, 4)

-- name: score_columns
-- What the feedback of a project says: (type, path, bools, numbers, texts), most used first.
SELECT t.name, s.path, s.bools, s.numbers, s.texts
FROM feedback_types t JOIN series s ON s.type = t.pk
WHERE t.project = ? AND s.bools + s.numbers + s.texts > 0
ORDER BY s.bools + s.numbers + s.texts DESC, t.name, s.path

-- name: projects
-- All projects, or the one of a name, that with the latest call first.
SELECT q.name, q.created_at,
    coalesce(sum(r.calls), 0), coalesce(sum(r.errors), 0), coalesce(sum(r.running), 0),
    coalesce(sum(r.bytes), 0),
    (SELECT coalesce(sum(t.rows), 0) FROM feedback_types t WHERE t.project = q.pk),
    (SELECT max(c.started_at) FROM calls c WHERE c.project = q.pk AND c.started_at IS NOT NULL)
FROM projects q LEFT JOIN rollups r ON r.project = q.pk
WHERE ?1 IS NULL OR q.name = ?1
GROUP BY q.pk ORDER BY 8 DESC, q.name

-- name: newest_objects
-- The newest version of each name: (kind, name, digest, value, created_at, version), by name.
SELECT o.kind, o.name, o.digest, o.value, o.created_at, o.version FROM objects o
WHERE o.project = ?1 AND (?2 IS NULL OR o.kind = ?2)
    AND o.version = (SELECT max(n.version) FROM objects n
        WHERE n.project = o.project AND n.kind = o.kind AND n.name = o.name)
    AND (?3 IS NULL OR json_extract(o.value, '$."$type"') = ?3)
ORDER BY o.name, o.kind

-- name: object_versions
SELECT digest, value, created_at, version FROM objects
WHERE project = ? AND kind = ? AND name = ? ORDER BY version DESC

-- name: object_version
SELECT digest, value, created_at, version FROM objects
WHERE project = ? AND kind = ? AND name = ? AND digest = ?

-- name: file
SELECT content, media_type FROM files WHERE project = ? AND digest = ?

-- name: project_pk
SELECT pk FROM projects WHERE name = ?

-- name: views
-- The views of a project by name, or the one of a name.
SELECT name, query, sort, columns, author, created_at, updated_at FROM views
WHERE project = ?1 AND (?2 IS NULL OR name = ?2) ORDER BY name

-- name: save_view
INSERT INTO views (project, name, query, sort, columns, author, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET query = excluded.query, sort = excluded.sort, columns = excluded.columns,
    author = excluded.author, updated_at = excluded.updated_at

-- name: count_views
SELECT count(*) FROM views WHERE project = ?

-- name: delete_view
DELETE FROM views WHERE project = ? AND name = ?

-- name: feedback_type_names
SELECT name FROM feedback_types WHERE project = ?

-- name: last_call
SELECT coalesce(max(pk), 0) FROM calls

-- name: calls_between
-- What the derived columns of some calls are worked out from, and what they are: (pk, started_at, ended_at,
-- exception, summary, latency, status, model, input_tokens, output_tokens, tokens, cost).
SELECT c.pk, c.started_at, c.ended_at, p.exception, p.summary,
    c.latency, c.status, c.model, c.input_tokens, c.output_tokens, c.tokens, c.cost
FROM calls c LEFT JOIN payloads p ON p.call = c.pk
WHERE c.pk > ?1 AND c.pk <= ?2 AND (?3 IS NULL OR c.project = ?3)

-- name: set_derived
UPDATE calls SET latency = ?, status = ?, model = ?, input_tokens = ?, output_tokens = ?, tokens = ?, cost = ?
WHERE pk = ?

-- name: judgements_between
-- The feedback on some calls, by call and type: (call, type, its name, pk, id, author, created_at, retracts, stands,
-- payload).
SELECT f.call, f.type, t.name, f.pk, f.id, f.author, f.created_at, f.retracts, f.stands, f.payload
FROM feedback f JOIN feedback_types t ON t.pk = f.type
WHERE f.call > ?1 AND f.call <= ?2 AND (?3 IS NULL OR f.project = ?3)
ORDER BY f.call, f.type

-- name: judgements_elsewhere
-- The feedback on anything but calls, by target and type, the same way.
SELECT f.target, f.type, t.name, f.pk, f.id, f.author, f.created_at, f.retracts, f.stands, f.payload
FROM feedback f JOIN feedback_types t ON t.pk = f.type
WHERE f.target IS NOT NULL AND (?1 IS NULL OR f.project = ?1)
ORDER BY f.target, f.type

-- name: all_series
SELECT s.pk FROM series s JOIN feedback_types t ON t.pk = s.type WHERE ?1 IS NULL OR t.project = ?1

-- name: delete_scores_between
DELETE FROM scores WHERE series = ? AND call > ? AND call <= ?

-- name: recount_series
-- How many scores of each kind every series has now; of a list its first element counts.
WITH counted AS (
    SELECT series, sum(kind = 1) AS bools, sum(kind = 2) AS numbers, sum(kind = 3) AS texts
    FROM scores WHERE role IN (1, 2, 4) AND place <= 1 GROUP BY series
)
UPDATE series SET
    bools = coalesce((SELECT c.bools FROM counted c WHERE c.series = series.pk), 0),
    numbers = coalesce((SELECT c.numbers FROM counted c WHERE c.series = series.pk), 0),
    texts = coalesce((SELECT c.texts FROM counted c WHERE c.series = series.pk), 0)

-- name: recount_feedback
UPDATE feedback_types SET rows = (SELECT count(*) FROM feedback f WHERE f.type = feedback_types.pk), unindexed = 0

-- name: large_payloads
-- The payloads that may have more leaves, or deeper ones, than scores keep.
SELECT type, payload FROM feedback
WHERE length(payload) - length(replace(payload, ',', '')) >= 64
    OR length(payload) - length(replace(payload, '{', '')) >= 8

-- name: hours_of_calls
-- How many calls of a project started in each hour.
SELECT started_at / 3600000000 - (started_at % 3600000000 < 0) AS hour, count(*) FROM calls
WHERE project = ? AND started_at IS NOT NULL GROUP BY 1 ORDER BY 1

-- name: delete_rollups_between
DELETE FROM rollups WHERE project = ? AND hour >= ? AND hour <= ?

-- name: rollups_between
-- The sums of the calls of a project that started in some hours. A square may have 80 bits: it is put together from
-- those of the 20 bits above and below.
INSERT INTO rollups (project, op, hour, calls, errors, running, latency, bytes, squares_high, squares_low, lengthy)
SELECT ?1, op, hour, count(*), sum(status = 'error'), sum(status = 'running'), sum(latency), sum(bytes),
    sum(CASE WHEN lengthy THEN 0 ELSE (above * above << 10) + (below >> 30) END),
    sum(CASE WHEN lengthy THEN 0 ELSE below & 1073741823 END), sum(lengthy)
FROM (
    SELECT coalesce(c.op, ?2) AS op, c.started_at / 3600000000 - (c.started_at % 3600000000 < 0) AS hour, c.status,
        coalesce(c.latency, 0) AS latency, coalesce(c.latency >= 1 << 40, 0) AS lengthy,
        coalesce(c.latency, 0) >> 20 AS above,
        ((coalesce(c.latency, 0) >> 20) * (coalesce(c.latency, 0) & 1048575) << 21)
            + (coalesce(c.latency, 0) & 1048575) * (coalesce(c.latency, 0) & 1048575) AS below,
        coalesce(length(CAST(p.inputs AS BLOB)), 0) + coalesce(length(CAST(p.output AS BLOB)), 0)
            + coalesce(length(CAST(p.attributes AS BLOB)), 0) + coalesce(length(CAST(p.summary AS BLOB)), 0)
            + coalesce(length(CAST(p.exception AS BLOB)), 0) AS bytes
    FROM calls c LEFT JOIN payloads p ON p.call = c.pk
    WHERE c.project = ?1 AND c.started_at >= ?3 AND c.started_at < ?4
)
GROUP BY op, hour

-- name: disagreements
-- Where sums and counts do not say what the rows say: (what, which project).
SELECT 'calls by op and hour', q.name FROM projects q
WHERE (SELECT coalesce(sum(r.calls), 0) FROM rollups r WHERE r.project = q.pk)
    <> (SELECT count(*) FROM calls c WHERE c.project = q.pk AND c.started_at IS NOT NULL)
UNION ALL
SELECT 'feedback of type ' || t.name, q.name FROM feedback_types t JOIN projects q ON q.pk = t.project
WHERE t.rows <> (SELECT count(*) FROM feedback f WHERE f.type = t.pk)
UNION ALL
SELECT 'scores of ' || t.name || '.' || s.path, q.name
FROM series s JOIN feedback_types t ON t.pk = s.type JOIN projects q ON q.pk = t.project
WHERE s.bools + s.numbers + s.texts
    <> (SELECT count(*) FROM scores x WHERE x.series = s.pk AND x.role IN (1, 2, 4) AND x.place <= 1)
UNION ALL
SELECT 'evaluations of ' || r.text, q.name
FROM evaluation_sums s JOIN refs r ON r.pk = s.definition JOIN projects q ON q.pk = s.project
WHERE s.wanted <> (SELECT count(*) FROM evaluations e WHERE e.definition = s.definition AND e.state = 0)
    OR s.running <> (SELECT count(*) FROM evaluations e WHERE e.definition = s.definition AND e.state = 1)
    OR s.done <> (SELECT count(*) FROM evaluations e WHERE e.definition = s.definition AND e.state = 2)
    OR s.failed <> (SELECT count(*) FROM evaluations e WHERE e.definition = s.definition AND e.state = 3)
    OR s.skipped <> (SELECT count(*) FROM evaluations e WHERE e.definition = s.definition AND e.state = 4)
LIMIT ?
