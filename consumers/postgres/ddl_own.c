/* The text of schema "sluice": the daemons' own tables, not a target's. */

#include "postgres/ddl.h"


/*
 * Daemons start together, so one of them makes the tables while the others
 * wait for its lock.  Rows that are updated with every batch keep room on
 * their page for it.  What a version adds is added to the one before, by
 * statements that may be repeated; nothing that version uses is taken away,
 * so that its daemons go on meanwhile.
 */
static const char  ddl_text[] =
    "BEGIN;"
    "SET LOCAL lock_timeout='10s';"
    "SELECT pg_advisory_xact_lock(7306367246437938);"
    "CREATE SCHEMA IF NOT EXISTS sluice;"
    "CREATE TABLE IF NOT EXISTS sluice.meta ("
    " only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),"
    " version integer NOT NULL,"
    " created_at timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE IF NOT EXISTS sluice.offsets ("
    " cluster_id text NOT NULL,"
    " group_id text NOT NULL,"
    " topic text NOT NULL,"
    " partition integer NOT NULL,"
    " table_name text NOT NULL,"
    " next_offset bigint NOT NULL CHECK (next_offset >= 0),"
    " epoch bigint NOT NULL,"
    " owner text NOT NULL,"
    " last_timestamp bigint,"
    " last_crc bigint,"
    " updated_at timestamptz NOT NULL DEFAULT now(),"
    " PRIMARY KEY (cluster_id, group_id, topic, partition, table_name)"
    ") WITH (fillfactor = 40);"
    "CREATE TABLE IF NOT EXISTS sluice.batches ("
    " cluster_id text NOT NULL,"
    " group_id text NOT NULL,"
    " topic text NOT NULL,"
    " partition integer NOT NULL,"
    " table_name text NOT NULL,"
    " first_offset bigint NOT NULL,"
    " kind text NOT NULL CHECK (kind IN ('records', 'gap')),"
    " next_offset bigint NOT NULL,"
    " records bigint NOT NULL,"
    " dead_letters bigint NOT NULL,"
    " updated_at timestamptz NOT NULL DEFAULT now(),"
    " CHECK (next_offset > first_offset),"
    " PRIMARY KEY (cluster_id, group_id, topic, partition, table_name,"
    "  first_offset, kind)"
    ") WITH (fillfactor = 40);"
    "CREATE TABLE IF NOT EXISTS sluice.dead_letters ("
    " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " cluster_id text NOT NULL,"
    " group_id text NOT NULL,"
    " topic text NOT NULL,"
    " partition integer NOT NULL,"
    " table_name text NOT NULL,"
    " \"offset\" bigint NOT NULL,"
    " \"timestamp\" timestamptz,"
    " key bytea,"
    " headers jsonb,"
    " value bytea,"
    " sqlstate text NOT NULL,"
    " reason text NOT NULL,"
    " created_at timestamptz NOT NULL DEFAULT now());"
    /* version 2: what became of each record of a range; the audit */
    "ALTER TABLE sluice.batches"
    " ADD COLUMN IF NOT EXISTS filtered bigint NOT NULL DEFAULT 0,"
    " ADD COLUMN IF NOT EXISTS duplicates bigint NOT NULL DEFAULT 0,"
    " ADD COLUMN IF NOT EXISTS rows bigint NOT NULL GENERATED ALWAYS AS"
    "  (records - dead_letters - filtered - duplicates) STORED"
    "  CHECK (rows >= 0),"
    " DROP CONSTRAINT IF EXISTS batches_kind_check,"
    " ADD CONSTRAINT batches_kind_check"
    "  CHECK (kind IN ('records', 'gap', 'skipped', 'reset'));"
    "CREATE TABLE IF NOT EXISTS sluice.audit ("
    " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " at timestamptz NOT NULL DEFAULT now(),"
    " who text NOT NULL DEFAULT session_user,"
    " action text NOT NULL,"
    " cluster_id text NOT NULL,"
    " group_id text NOT NULL,"
    " topic text NOT NULL,"
    " table_name text NOT NULL,"
    " detail jsonb NOT NULL);"
    /* version 2: clients' retries */
    "CREATE TABLE IF NOT EXISTS sluice.seen ("
    " key bytea PRIMARY KEY,"
    " partition integer NOT NULL,"
    " \"offset\" bigint NOT NULL,"
    " expires_at timestamptz NOT NULL);"
    "ALTER TABLE sluice.dead_letters"
    " ADD COLUMN IF NOT EXISTS stripped boolean NOT NULL DEFAULT false;"
    "CREATE INDEX IF NOT EXISTS dead_letters_created_at"
    " ON sluice.dead_letters (cluster_id, group_id, topic, created_at);"
    "INSERT INTO sluice.meta (version) VALUES (2) ON CONFLICT (only_one)"
    " DO UPDATE SET version=EXCLUDED.version"
    " WHERE meta.version < EXCLUDED.version;"
    "COMMIT";


const char *
ddl_own_tables(void)
{
    return ddl_text;
}
