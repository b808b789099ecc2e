/*
 * libFuzzer target of the daemon's configuration.  Input is the file's text.
 * What is refused is said with a place and changes nothing; what is taken is
 * whole.  Inputs that name other files are passed over.
 */

#include "conf/conf.h"
#include "fuzz.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char          *text, err[CONF_ERROR_MAX];
    size_t         i;
    const conf_t  *conf;

    if (memmem(data, size, "file", 4) != NULL
        || memmem(data, size, "\\u", 2) != NULL)
    {
        return 0;
    }

    text = copy((const char *) data, size, "", "");
    memset(err, 0xff, sizeof(err));
    conf = conf_parse("f", text, size, err);
    free(text);

    if (conf == NULL) {
        demand(memchr(err, '\0', sizeof(err)) != NULL, "the reason ends");
        demand(strncmp(err, "f:", 2) == 0, "it names the place");

        for (i = 0; err[i]; i++) {
            demand((unsigned char) err[i] >= 0x20, "it is one line");
        }

        return 0;
    }

    demand(conf->topic && conf->group && conf->postgres, "who and where");
    demand(conf->ntargets > 0, "there is a table");
    demand(conf->batch_rows > 0 && conf->batch_bytes > 0, "bounds");
    conf_free(conf);

    return 0;
}
