/* Fields that are no columns of their table yet: which ones may become some. */

#ifndef SLUICE_NEWS_H
#define SLUICE_NEWS_H


#include "base/log.h"
#include "postgres/target.h"


/* Zero-initialized. */
typedef struct {
    conf_column_t  *columns;    /* to be added, at most "evolve_columns" */
    size_t          n;
    bool            ascii;      /* the database may have no other names */
    log_limit_t     left;
} news_t;


/*
 * Notes a field, whose value is no null, as a column to be added.  One that the
 * table has is left alone; one that cannot become a column is logged.
 */
void news_add(news_t *news, const target_t *target, const char *name,
    size_t len, json_type_t type);

/*
 * Appends the statements that add those that the table lacks.  Returns how
 * many.
 */
size_t news_columns(const news_t *news, const target_t *target, buf_t *sql);

/* Forgets them. */
void news_clear(news_t *news);


#endif
