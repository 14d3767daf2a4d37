-- Every statement of the migration. {table}, {key}, {column} are identifiers; %(name)s are values.

-- describe: type of the key and width of the column (null: unbounded); no row where one of them does not exist
SELECT format_type(k.atttypid, k.atttypmod) AS key_type,
       CASE WHEN c.atttypid = 'varchar'::regtype AND c.atttypmod > 4 THEN c.atttypmod - 4 END AS width,
       format_type(c.atttypid, NULL) AS column_type,
       r.reltuples::bigint AS row_estimate
FROM pg_class r
JOIN pg_attribute k ON k.attrelid = r.oid AND k.attname = %(key)s AND NOT k.attisdropped
JOIN pg_attribute c ON c.attrelid = r.oid AND c.attname = %(column)s AND NOT c.attisdropped
WHERE r.oid = to_regclass(%(table)s)

-- unique: whether the key column alone is unique, so that a rewrite addresses one row
SELECT EXISTS (
    SELECT FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass(%(table)s) AND i.indisunique AND i.indnkeyatts = 1
      AND i.indpred IS NULL AND a.attname = %(key)s
)

-- privileges: whether this role may read both columns and update the one
SELECT has_column_privilege(to_regclass(%(table)s), %(key)s, 'SELECT')
           AND has_column_privilege(to_regclass(%(table)s), %(column)s, 'SELECT') AS may_select,
       has_column_privilege(to_regclass(%(table)s), %(column)s, 'UPDATE') AS may_update

-- statistics: whether this role may see the lag of replicas
SELECT pg_has_role('pg_read_all_stats', 'USAGE')

-- server: what kind of server this is
SELECT current_setting('server_encoding') AS encoding, current_setting('server_version_num')::int AS version

-- load: rows whose value lies in a range, in no particular order
SELECT {key}::text, {column}::text FROM {table}
WHERE {column} COLLATE "C" >= %(low)s AND {column} COLLATE "C" < %(high)s

-- histogram: values with equally many rows between each two, as of the last ANALYZE
SELECT unnest(histogram_bounds::text::text[]) FROM pg_stats
WHERE schemaname = %(schema)s AND tablename = %(table)s AND attname = %(column)s

-- longest: the longest value in a range, in characters
SELECT coalesce(max(length({column})), 0) FROM {table}
WHERE {column} COLLATE "C" >= %(low)s AND {column} COLLATE "C" < %(high)s

-- naming: which of these values stand in the column now
SELECT DISTINCT {column}::text FROM {table} WHERE {column} = ANY(%(values)s)

-- rewrite: compare and swap in the order of the keys; a row that somebody holds is skipped, not waited for
WITH wanted AS (
    SELECT * FROM unnest(%(keys)s::text[]::{key_type}[], %(old)s::text[], %(new)s::text[]) AS w (key, old, new)
), held AS (
    SELECT t.{key} AS key, wanted.new AS new FROM {table} t JOIN wanted ON t.{key} = wanted.key
    WHERE t.{column} = wanted.old
    ORDER BY t.{key} FOR NO KEY UPDATE OF t SKIP LOCKED
)
UPDATE {table} t SET {column} = held.new FROM held WHERE t.{key} = held.key RETURNING t.{key}::text

-- rewrite_waiting: the same for rows that were held before; waits as long as lock_timeout says
WITH wanted AS (
    SELECT * FROM unnest(%(keys)s::text[]::{key_type}[], %(old)s::text[], %(new)s::text[]) AS w (key, old, new)
), held AS (
    SELECT t.{key} AS key, wanted.new AS new FROM {table} t JOIN wanted ON t.{key} = wanted.key
    WHERE t.{column} = wanted.old
    ORDER BY t.{key} FOR NO KEY UPDATE OF t
)
UPDATE {table} t SET {column} = held.new FROM held WHERE t.{key} = held.key RETURNING t.{key}::text

-- values: what stands in these rows now
SELECT {key}::text, {column}::text FROM {table} WHERE {key} = ANY(%(keys)s::text[]::{key_type}[])

-- mark: a transaction of our own, younger than all that have written anything by now, and of which server; no replica
-- has any. (The upper end of a snapshot is no mark: it follows the last transaction that has ended.)
SELECT pg_current_xact_id()::text::bigint AS horizon, pg_postmaster_start_time()::text AS server

-- oldest: the oldest transaction that is open, and of which server
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest, pg_postmaster_start_time()::text AS server

-- lag: seconds that the furthest replica is behind; unknown where this role may not see it
SELECT count(*) AS replicas, count(*) FILTER (WHERE state IS NULL) AS hidden,
       coalesce(max(extract(epoch FROM replay_lag)), 0)::float AS seconds
FROM pg_stat_replication

-- explain: the plan of a range scan
EXPLAIN (FORMAT JSON) SELECT {key}, {column} FROM {table}
WHERE {column} COLLATE "C" >= %(low)s AND {column} COLLATE "C" < %(high)s

-- lookalikes: columns, of any table, whose sampled values hold the legacy prefix
SELECT schemaname, tablename, attname FROM pg_stats
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
  AND (strpos(coalesce(most_common_vals::text, ''), %(prefix)s) > 0
       OR strpos(coalesce(histogram_bounds::text, ''), %(prefix)s) > 0)
