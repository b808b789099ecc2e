/* Reads the configuration file: tokens, then keys, then checks. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "conf/check.h"
#include "conf/keys.h"


#define CONF_FILE_MAX  (1024 * 1024)    /* bytes */


static int conf_file(conf_reader_t *cr, conf_t *conf);


const conf_t *
conf_parse(const char *file, const char *text, size_t len, char *err)
{
    int            rc;
    conf_t        *conf;
    conf_block_t  *memory;
    conf_reader_t  cr = { 0 };

    memory = NULL;
    conf = NULL;

    cr.file = file;
    cr.err = err;
    cr.memory = &memory;
    cr.keys = conf_keys;

    rc = conf_load(&cr, text, len);

    if (rc == 0 && conf_type(&cr, 0) != JSON_OBJECT) {
        rc = conf_fail(&cr, 0, "a configuration must be a JSON object");
    }

    if (rc == 0) {
        conf = conf_alloc(&cr, sizeof(conf_t));
        rc = conf == NULL || conf_file(&cr, conf) == -1 ? -1 : 0;
    }

    conf_unload(&cr);

    if (rc == -1) {
        conf_memory_free(memory);
        return NULL;
    }

    conf->memory = memory;

    return conf;
}


static int
conf_file(conf_reader_t *cr, conf_t *conf)
{
    conf->file = conf_copy(cr, cr->file, strlen(cr->file));

    return conf->file == NULL || conf_walk(cr, 0, "", conf) == -1
           || conf_check(cr, conf) == -1 ? -1 : 0;
}


const conf_t *
conf_read(const char *file, char *err)
{
    buf_t          text = { 0 };
    const conf_t  *conf;

    conf = NULL;

    if (buf_load(&text, file, CONF_FILE_MAX) == 0) {
        conf = conf_parse(file, text.data, text.len, err);

    } else {
        snprintf(err, CONF_ERROR_MAX, "%s: %s", file,
                 errno == EFBIG ? "larger than 1 MiB" : strerror(errno));
    }

    buf_free(&text);

    return conf;
}


void
conf_free(const conf_t *conf)
{
    if (conf) {
        conf_memory_free(conf->memory);
    }
}
