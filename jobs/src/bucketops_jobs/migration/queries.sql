-- Every statement of the migration. {table} and {column} are identifiers, {keys} and the like are made of those of the
-- key's columns, and {within} of ranges of values (see tables.py); %(name)s are values. Paths are compared as texts in the
-- collation "C", byte by byte, whatever the column's type and collation take for equal.

-- describe: the type of each column beneath its domains, which may lie in schemas that this role may not use, and its
-- width in characters (null: unbounded); no row of a column that does not exist
WITH RECURSIVE typed AS (
    SELECT a.attname AS name, a.atttypid AS type, a.atttypmod AS modifier, 0 AS depth FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = to_regclass(%(table)s) AND a.attname = ANY(%(columns)s) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT typed.name, d.typbasetype, d.typtypmod, typed.depth + 1
    FROM typed JOIN pg_catalog.pg_type d ON d.oid = typed.type AND d.typtype = 'd'
)
SELECT DISTINCT ON (typed.name) typed.name::text, format_type(typed.type, typed.modifier),
       CASE WHEN typed.type = 'varchar'::regtype AND typed.modifier > 4 THEN typed.modifier - 4 END AS width
FROM typed ORDER BY typed.name, typed.depth DESC

-- unique: the unique indexes on some of the key's columns and on nothing else, and what is wrong with each
SELECT x.indexrelid::regclass::text AS index, NOT (x.indisvalid AND x.indisready) AS invalid,
       x.indpred IS NOT NULL AS partial, NOT x.indimmediate AS deferrable,
       EXISTS (
           SELECT FROM unnest(x.indkey[0:x.indnkeyatts - 1], x.indclass[0:x.indnkeyatts - 1],
                              x.indcollation[0:x.indnkeyatts - 1]) AS part (attnum, opclass, coll)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = part.attnum
           JOIN pg_catalog.pg_opclass o ON o.oid = part.opclass
           LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
           WHERE NOT o.opcdefault OR NOT (c.collisdeterministic IS NOT FALSE OR part.coll = a.attcollation)
       ) AS otherwise
FROM pg_catalog.pg_index x
WHERE x.indrelid = to_regclass(%(table)s) AND x.indisunique AND 0 <> ALL(x.indkey[0:x.indnkeyatts - 1])
  AND (SELECT array_agg(a.attname::text) FROM pg_catalog.pg_attribute a
       WHERE a.attrelid = x.indrelid AND a.attnum = ANY(x.indkey[0:x.indnkeyatts - 1])) <@ %(keys)s::text[]
ORDER BY 1

-- nullable: columns of the key that may be null
SELECT a.attname::text FROM pg_catalog.pg_attribute a
WHERE a.attrelid = to_regclass(%(table)s) AND a.attname = ANY(%(keys)s) AND NOT a.attnotnull ORDER BY a.attnum

-- computed: columns of the key that PostgreSQL computes from the path; the dependency is the column's or its expression's
SELECT a.attname::text FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
WHERE a.attrelid = to_regclass(%(table)s) AND a.attname = ANY(%(keys)s) AND a.attgenerated <> '' AND EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_attribute path ON path.attrelid = d.refobjid AND path.attnum = d.refobjsubid
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND path.attname = %(column)s
      AND ((d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum)
           OR (d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = e.oid))
) ORDER BY a.attnum

-- named: columns of the key whose text is the name that an object of the database has now (regclass, regrole, …)
SELECT a.attname::text FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass(%(table)s) AND a.attname = ANY(%(keys)s)
  AND t.typname LIKE 'reg%%' AND t.typnamespace = 'pg_catalog'::regnamespace ORDER BY a.attnum

-- session: what every session of this role begins with; nothing of this is looked up by the search path
SELECT current_user::text AS role, pg_catalog.current_schemas(true)::text[] AS search_path,
       pg_catalog.pg_is_in_recovery() AS in_recovery, pg_catalog.current_setting('transaction_read_only') AS read_only,
       pg_catalog.current_setting('session_replication_role') AS acts

-- relation: what a table is, what hides rows of it from this role, and what stands between it and an UPDATE
SELECT r.relkind::text AS kind, r.relpersistence::text AS persistence, pg_get_userbyid(r.relowner)::text AS owner,
       row_security_active(r.oid) AS hides, r.relforcerowsecurity AS forced,
       CASE WHEN r.relispartition THEN pg_partition_root(r.oid)::text END AS root,
       (SELECT array_agg(i.inhrelid::regclass::text ORDER BY 1) FROM pg_catalog.pg_inherits i
        WHERE i.inhparent = r.oid AND r.relkind = 'r') AS heirs,
       (SELECT array_agg(i.inhparent::regclass::text ORDER BY 1) FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.inhparent AND a.attname = %(column)s AND NOT a.attisdropped
        WHERE i.inhrelid = r.oid AND NOT r.relispartition) AS ancestors,
       (SELECT array_agg(p.relid::text ORDER BY 1) FROM pg_partition_tree(r.oid) p
        JOIN pg_catalog.pg_class c ON c.oid = p.relid WHERE c.relkind = 'f') AS abroad,
       (SELECT array_agg(w.rulename::text ORDER BY 1) FROM pg_catalog.pg_rewrite w
        WHERE w.ev_class = r.oid AND w.ev_type = '2' AND w.ev_enabled <> 'D') AS rules
FROM pg_catalog.pg_class r WHERE r.oid = to_regclass(%(table)s)

-- column: the type that a column has beneath its domains, whether PostgreSQL computes it, and its outermost domain, if
-- it has one
WITH RECURSIVE typed AS (
    SELECT a.attgenerated <> '' AS generated, a.atttypid AS type, a.atttypmod AS modifier, 0 AS depth,
           format_type(a.atttypid, NULL) AS declared
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = to_regclass(%(table)s) AND a.attname = %(column)s
    UNION ALL
    SELECT typed.generated, d.typbasetype, d.typtypmod, typed.depth + 1, typed.declared
    FROM typed JOIN pg_catalog.pg_type d ON d.oid = typed.type AND d.typtype = 'd'
)
SELECT t.typname::text AS name,
       CASE WHEN t.typcategory = 'A' THEN 'array' WHEN t.typtype = 'c' THEN 'composite' WHEN t.typtype = 'e' THEN 'enum'
            ELSE t.typname::text END AS kind,
       format_type(typed.type, typed.modifier) AS written, typed.generated,
       CASE WHEN typed.depth > 0 THEN typed.declared END AS domain
FROM typed JOIN pg_catalog.pg_type t ON t.oid = typed.type ORDER BY typed.depth DESC LIMIT 1

-- triggers: those that an UPDATE starts of a table, its partitions, and the tables that follow it by a foreign key
WITH RECURSIVE touched (oid) AS (
    SELECT to_regclass(%(table)s)::oid
    UNION
    SELECT next.oid FROM touched CROSS JOIN LATERAL (
        SELECT relid::oid AS oid FROM pg_partition_tree(touched.oid)
        UNION ALL
        SELECT c.conrelid FROM pg_catalog.pg_constraint c
        WHERE c.confrelid = touched.oid AND c.contype = 'f' AND c.confupdtype = 'c'
    ) AS next
)
SELECT DISTINCT g.tgname::text FROM pg_catalog.pg_trigger g JOIN touched ON touched.oid = g.tgrelid
WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 16 > 0
ORDER BY 1

-- foreign_keys: each column that references another one, and what becomes of it when that one changes
SELECT DISTINCT c.conname::text AS name, ARRAY[nc.nspname, rc.relname, ac.attname]::text[] AS child,
       ARRAY[np.nspname, rp.relname, ap.attname]::text[] AS parent, c.confupdtype::text AS action
FROM pg_catalog.pg_constraint c CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k (child, parent)
JOIN pg_catalog.pg_attribute ac ON ac.attrelid = c.conrelid AND ac.attnum = k.child
JOIN pg_catalog.pg_attribute ap ON ap.attrelid = c.confrelid AND ap.attnum = k.parent
JOIN pg_catalog.pg_class rc ON rc.oid = coalesce(pg_partition_root(c.conrelid), c.conrelid)
JOIN pg_catalog.pg_class rp ON rp.oid = coalesce(pg_partition_root(c.confrelid), c.confrelid)
JOIN pg_catalog.pg_namespace nc ON nc.oid = rc.relnamespace JOIN pg_catalog.pg_namespace np ON np.oid = rp.relnamespace
WHERE c.contype = 'f' ORDER BY 1, 2, 3

-- leftover: rows whose value begins so, found without a shard and without a range of keys; of another type as above
SELECT {keys}, t.{column}::text FROM {table} t WHERE starts_with(t.{column}::text COLLATE "C", %(start)s)
UNION ALL SELECT {keys}, {column} FROM {table} t WHERE false

-- sample: any value that begins so
SELECT {column}::text FROM {table} WHERE starts_with({column}::text COLLATE "C", %(start)s) LIMIT 1

-- cast: whether a domain takes a value
SELECT CAST(%(value)s AS {domain})

-- privileges: whether this role may read the key's columns and the path's, and update the one
SELECT (SELECT bool_and(has_column_privilege(to_regclass(%(table)s), k.name, 'SELECT'))
        FROM unnest(%(keys)s::text[] || %(column)s::text) AS k (name)) AS may_select,
       has_column_privilege(to_regclass(%(table)s), %(column)s, 'UPDATE') AS may_update

-- statistics: whether this role may see the lag of replicas
SELECT pg_has_role('pg_read_all_stats', 'USAGE')

-- server: what kind of server this is
SELECT current_setting('server_encoding') AS encoding, current_setting('server_version_num')::int AS version

-- load: rows whose value lies in a range, in no particular order
SELECT {keys}, t.{column}::text FROM {table} t WHERE {within}

-- histogram: values with equally many rows between each two, as of the last ANALYZE
SELECT unnest(histogram_bounds::text::text[]) FROM pg_catalog.pg_stats
WHERE schemaname = %(schema)s AND tablename = %(table)s AND attname = %(column)s

-- longest: the longest value in a range, in characters
SELECT coalesce(max(length(t.{column}::text)), 0) FROM {table} t WHERE {within}

-- naming: which of these values stand in the column now; one lookup each in the index that the preflight asks for. The
-- second part has no row: it is an error where the column has become one of another type since, whose texts are no paths
SELECT DISTINCT t.{column}::text COLLATE "C" FROM {table} t
WHERE t.{column}::text COLLATE "C" = ANY(%(values)s::text[] COLLATE "C")
UNION ALL SELECT {column} FROM {table} WHERE false

-- rewrite: compare and swap in the order of the keys; a row that somebody holds is skipped, not waited for. Answers the
-- rows that are ours until the end of the transaction: what the database made of them is looked at afterwards
WITH wanted AS (
    SELECT {key_values}, w.old, w.new FROM unnest({key_arrays}, %(old)s::text[], %(new)s::text[]) AS w ({key_names}, old, new)
), held AS (
    SELECT {held_keys}, wanted.new AS new FROM {table} t JOIN wanted ON {same_as_wanted}
    WHERE t.{column}::text COLLATE "C" = wanted.old
    ORDER BY {key_order} FOR NO KEY UPDATE OF t SKIP LOCKED
), done AS (
    UPDATE {table} t SET {column} = held.new FROM held WHERE {same_as_held}
)
SELECT {keys_held} FROM held

-- rewrite_waiting: the same for rows that were held before; waits as long as lock_timeout says
WITH wanted AS (
    SELECT {key_values}, w.old, w.new FROM unnest({key_arrays}, %(old)s::text[], %(new)s::text[]) AS w ({key_names}, old, new)
), held AS (
    SELECT {held_keys}, wanted.new AS new FROM {table} t JOIN wanted ON {same_as_wanted}
    WHERE t.{column}::text COLLATE "C" = wanted.old
    ORDER BY {key_order} FOR NO KEY UPDATE OF t
), done AS (
    UPDATE {table} t SET {column} = held.new FROM held WHERE {same_as_held}
)
SELECT {keys_held} FROM held

-- values: what stands in these rows now
WITH wanted AS (SELECT {key_values} FROM unnest({key_arrays}) AS w ({key_names}))
SELECT {keys}, t.{column}::text FROM {table} t JOIN wanted ON {same_as_wanted}

-- holding: rows that hold one of these values
SELECT {keys}, t.{column}::text FROM {table} t
WHERE t.{column}::text COLLATE "C" = ANY(%(values)s::text[] COLLATE "C")

-- examples: what a few rows look like
SELECT left(t.{column}::text, 1000) FROM {table} t WHERE t.{column}::text <> '' LIMIT 3

-- others: of the first so many rows outside the ranges, a few that hold a part, in capitals or not
SELECT v.path FROM (SELECT left(t.{column}::text, 1000) AS path FROM {table} t WHERE {within} LIMIT 10000) AS v
WHERE v.path <> '' AND strpos(lower(v.path), lower(%(part)s)) > 0 LIMIT 3

-- mark: a transaction of our own, younger than all that have written anything by now, and of which server; no replica
-- has any. (The upper end of a snapshot is no mark: it follows the last transaction that has ended.)
SELECT pg_current_xact_id()::text::bigint AS horizon, pg_postmaster_start_time()::text AS server

-- oldest: the oldest transaction that is open, and of which server
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest, pg_postmaster_start_time()::text AS server

-- lag: seconds that the furthest replica is behind; unknown where this role may not see it
SELECT count(*) AS replicas, count(*) FILTER (WHERE state IS NULL) AS hidden,
       coalesce(max(extract(epoch FROM replay_lag)), 0)::float AS seconds
FROM pg_catalog.pg_stat_replication

-- explain: the plan of a range scan where an index is taken if there is one
SELECT set_config('enable_seqscan', 'off', true);
EXPLAIN (VERBOSE, FORMAT JSON) SELECT {keys}, t.{column} FROM {table} t WHERE {within}

-- leading: indexes of a table and its partitions that begin with a column, or with an expression
SELECT c.relname::text FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
WHERE x.indrelid IN (SELECT relid FROM pg_partition_tree(to_regclass(%(table)s)) UNION SELECT to_regclass(%(table)s))
  AND (x.indkey[0] = 0 OR a.attname = %(column)s)

-- estimate: the plan of a scan of all rows, whose number PostgreSQL guesses from the size of the files
EXPLAIN (FORMAT JSON) SELECT FROM {table}

-- lookalikes: columns, of any table, whose sampled values hold the legacy prefix
SELECT schemaname, tablename, attname FROM pg_catalog.pg_stats
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
  AND (strpos(coalesce(most_common_vals::text, ''), %(prefix)s) > 0
       OR strpos(coalesce(histogram_bounds::text, ''), %(prefix)s) > 0)
