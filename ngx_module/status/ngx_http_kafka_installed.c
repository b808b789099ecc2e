/*
 * The version of the module's file on disk.  After an upgrade of the package
 * nginx runs the old one until it is restarted, and nothing else tells which
 * version waits there.
 */

#include "status/ngx_http_kafka_status.h"
#include "version.h"
#include <dlfcn.h>


#define NGX_HTTP_KAFKA_FILE_MAX  (64 * 1024 * 1024)   /* bytes */
#define NGX_HTTP_KAFKA_VERSION   32     /* bytes, with NUL */
#define NGX_HTTP_KAFKA_VERSION_OF                                             \
    "0123456789abcdefghijklmnopqrstuvwxyz.-+~"


static void ngx_http_kafka_read_version(const char *name, size_t size,
    ngx_log_t *log);


/* found in the file by its first words; the version follows them */
static const char  ngx_http_kafka_mark[] = "sluice nginx module "
                                           SLUICE_VERSION;
static u_char      ngx_http_kafka_on_disk[NGX_HTTP_KAFKA_VERSION];


const char *
ngx_http_kafka_installed(ngx_log_t *log)
{
    Dl_info          info;
    ngx_file_info_t  fi;

    static time_t           mtime;
    static ngx_file_uniq_t  uniq;

    if (dladdr(ngx_http_kafka_mark, &info) == 0 || info.dli_fname == NULL
        || ngx_file_info(info.dli_fname, &fi) == NGX_FILE_ERROR
        || !ngx_is_file(&fi) || ngx_file_size(&fi) > NGX_HTTP_KAFKA_FILE_MAX)
    {
        ngx_http_kafka_on_disk[0] = '\0';
        uniq = 0;

    } else if (ngx_file_uniq(&fi) != uniq || ngx_file_mtime(&fi) != mtime) {
        uniq = ngx_file_uniq(&fi);
        mtime = ngx_file_mtime(&fi);
        ngx_http_kafka_read_version(info.dli_fname, ngx_file_size(&fi), log);
    }

    return (char *) ngx_http_kafka_on_disk;
}


/* Read, not mapped: a file that is cut meanwhile would be a SIGBUS. */
static void
ngx_http_kafka_read_version(const char *name, size_t size, ngx_log_t *log)
{
    u_char   *buf, *p, *v, *last;
    size_t    mark;
    ssize_t   n;
    ngx_fd_t  fd;

    mark = sizeof(ngx_http_kafka_mark) - sizeof(SLUICE_VERSION);
    v = ngx_http_kafka_on_disk;

    fd = ngx_open_file(name, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK, NGX_FILE_OPEN,
                       0);
    buf = ngx_alloc(size, log);

    n = fd != NGX_INVALID_FILE && buf ? ngx_read_fd(fd, buf, size) : 0;
    p = n > 0 ? memmem(buf, n, ngx_http_kafka_mark, mark) : NULL;

    if (p) {
        p += mark;
        last = p + ngx_min(buf + n - p, NGX_HTTP_KAFKA_VERSION - 1);

        while (p < last && *p && ngx_strchr(NGX_HTTP_KAFKA_VERSION_OF, *p)) {
            *v++ = *p++;
        }
    }

    *v = '\0';

    if (buf) {
        ngx_free(buf);
    }

    if (fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(fd);
    }
}
