/* SQL text: names and values are quoted, whatever is in them. */

#include "postgres/sql.h"
#include "tap.h"


static void
test_format(void)
{
    buf_t   sql;
    conf_t  conf;

    memset(&sql, 0, sizeof(buf_t));
    memset(&conf, 0, sizeof(conf_t));

    sql_format(&sql, "GRANT %s ON %I TO %I", "SELECT", "a", "b\"; DROP c");
    is_str(sql.data, "GRANT SELECT ON \"a\" TO \"b\"\"; DROP c\"", "names");

    sql.len = 0;
    sql_format(&sql, "%L,%L,%L", "", "it's \"x\"", "a\\'b");
    is_str(sql.data, "'','it''s \"x\"', E'a\\\\''b'", "literals");

    sql.len = 0;
    sql_format(&sql, "100%% of %%I");
    is_str(sql.data, "100% of %I", "percent signs");

    sql.len = 0;
    conf.table_name = (char *) "b'\"c";
    sql_format(&sql, "%T", &conf);
    is_str(sql.data, "\"b'\"\"c\"", "a table without a schema");

    sql.len = 0;
    sql_format(&sql, "%O", &conf);
    ok(strstr(sql.data, "relname OPERATOR(pg_catalog.=) 'b''\"c'"),
       "it is looked for by its name");

    sql.len = 0;
    conf.table_schema = (char *) "A.a";
    sql_format(&sql, "%T %O", &conf, &conf);
    is_str(sql.data, "\"A.a\".\"b'\"\"c\""
           " pg_catalog.to_regclass('\"A.a\".\"b''\"\"c\"')",
           "a table with its schema");

    buf_free(&sql);
}


static void
test_do(void)
{
    buf_t  sql, block;

    memset(&sql, 0, sizeof(buf_t));
    memset(&block, 0, sizeof(buf_t));

    sql_format(&block, "BEGIN PERFORM %L; END", "it's");
    sql_do(&sql, &block);
    is_str(sql.data, "DO 'BEGIN PERFORM ''it''''s''; END'", "a block");
    ok(block.data == NULL, "the block is freed");

    buf_free(&sql);
}


int
main(void)
{
    test_format();
    test_do();

    return tap_done();
}
