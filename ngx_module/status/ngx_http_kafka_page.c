/* A text that grows in a request's pool, and the module's version on disk. */

#include "status/ngx_http_kafka_status.h"
#include "version.h"
#include <dlfcn.h>


#define NGX_HTTP_KAFKA_PAGE        8192     /* bytes at first */
#define NGX_HTTP_KAFKA_PRINT       1024     /* bytes at once */

#define NGX_HTTP_KAFKA_FILE_MAX    (64 * 1024 * 1024)   /* bytes */
#define NGX_HTTP_KAFKA_CHUNK       65536    /* bytes read at once */
#define NGX_HTTP_KAFKA_VERSION     32       /* bytes of a version, with NUL */


static ngx_int_t ngx_http_kafka_page_room(ngx_http_kafka_page_t *page,
    size_t size);
static void ngx_http_kafka_find_version(ngx_fd_t fd, ngx_log_t *log);


/* in the module's file: the mark is found there, the version is behind it */
static const char  ngx_http_kafka_mark[] = "sluice nginx module "
                                           SLUICE_VERSION;
static u_char      ngx_http_kafka_on_disk[NGX_HTTP_KAFKA_VERSION];


void
ngx_http_kafka_page_init(ngx_http_kafka_page_t *page, ngx_pool_t *pool)
{
    page->pool = pool;
    page->start = ngx_pnalloc(pool, NGX_HTTP_KAFKA_PAGE);
    page->last = page->start;
    page->end = page->start + (page->start ? NGX_HTTP_KAFKA_PAGE : 0);
}


static ngx_int_t
ngx_http_kafka_page_room(ngx_http_kafka_page_t *page, size_t size)
{
    u_char  *p;
    size_t   len;

    if (page->start == NULL) {
        return NGX_ERROR;
    }

    if ((size_t) (page->end - page->last) >= size) {
        return NGX_OK;
    }

    len = 2 * (page->end - page->start) + size;

    p = ngx_pnalloc(page->pool, len);
    if (p == NULL) {
        page->start = NULL;
        return NGX_ERROR;
    }

    page->last = ngx_cpymem(p, page->start, page->last - page->start);
    (void) ngx_pfree(page->pool, page->start);
    page->start = p;
    page->end = p + len;

    return NGX_OK;
}


void
ngx_http_kafka_print(ngx_http_kafka_page_t *page, const char *fmt, ...)
{
    va_list  args;

    if (ngx_http_kafka_page_room(page, NGX_HTTP_KAFKA_PRINT) != NGX_OK) {
        return;
    }

    va_start(args, fmt);
    page->last = ngx_vslprintf(page->last, page->end, fmt, args);
    va_end(args);
}


void
ngx_http_kafka_print_json(ngx_http_kafka_page_t *page, ngx_str_t *text)
{
    /* six bytes for one, and as many left over */

    if (ngx_http_kafka_page_room(page, 6 * text->len + 16) == NGX_OK) {
        page->last = ngx_http_kafka_escape(page->last, page->end, text->data,
                                           text->len);
    }
}


/* Prometheus text format 0.0.4: UTF-8, where \ " and line feed are escaped. */
void
ngx_http_kafka_print_label(ngx_http_kafka_page_t *page, ngx_str_t *text)
{
    u_char    *p, *last, *start;
    uint32_t   c;

    if (ngx_http_kafka_page_room(page, 3 * text->len + 16) != NGX_OK) {
        return;
    }

    p = text->data;
    last = p + text->len;

    while (p < last) {

        start = p;
        c = *p < 0x80 ? *p++ : ngx_utf8_decode(&p, last - p);

        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            p = start + 1;
            page->last = ngx_cpymem(page->last, "\xef\xbf\xbd", 3);

        } else if (c == '\n') {
            page->last = ngx_cpymem(page->last, "\\n", 2);

        } else {
            if (c == '"' || c == '\\') {
                *page->last++ = '\\';
            }

            page->last = ngx_cpymem(page->last, start, p - start);
        }
    }
}


const char *
ngx_http_kafka_installed(ngx_log_t *log)
{
    Dl_info          info;
    ngx_fd_t         fd;
    ngx_file_info_t  fi;

    static ngx_file_uniq_t  uniq;
    static time_t           mtime;

    if (dladdr(ngx_http_kafka_mark, &info) == 0 || info.dli_fname == NULL) {
        return "";
    }

    fd = ngx_open_file(info.dli_fname, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return "";
    }

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi)
        || ngx_file_size(&fi) > NGX_HTTP_KAFKA_FILE_MAX)
    {
        ngx_http_kafka_on_disk[0] = '\0';
        uniq = 0;

    } else if (ngx_file_uniq(&fi) != uniq || ngx_file_mtime(&fi) != mtime) {
        uniq = ngx_file_uniq(&fi);
        mtime = ngx_file_mtime(&fi);
        ngx_http_kafka_find_version(fd, log);
    }

    (void) ngx_close_file(fd);

    return (char *) ngx_http_kafka_on_disk;
}


/* By parts, not mapped: a file that is cut meanwhile would be a SIGBUS. */
static void
ngx_http_kafka_find_version(ngx_fd_t fd, ngx_log_t *log)
{
    u_char   *buf, *p, *v;
    size_t    kept, mark;
    ssize_t   n;

    mark = sizeof(ngx_http_kafka_mark) - sizeof(SLUICE_VERSION);
    ngx_http_kafka_on_disk[0] = '\0';

    buf = ngx_alloc(NGX_HTTP_KAFKA_CHUNK, log);
    if (buf == NULL) {
        return;
    }

    kept = 0;

    while ((n = ngx_read_fd(fd, buf + kept, NGX_HTTP_KAFKA_CHUNK - kept)) > 0)
    {
        n += kept;
        p = memmem(buf, n, ngx_http_kafka_mark, mark);

        if (p && (size_t) (buf + n - p) >= mark + NGX_HTTP_KAFKA_VERSION) {

            v = ngx_http_kafka_on_disk;

            for (p += mark;
                 v < ngx_http_kafka_on_disk + NGX_HTTP_KAFKA_VERSION - 1
                 && ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z')
                     || *p == '.' || *p == '-' || *p == '+' || *p == '~');
                 p++)
            {
                *v++ = *p;
            }

            *v = '\0';
            break;
        }

        kept = ngx_min((size_t) n, mark + NGX_HTTP_KAFKA_VERSION);
        ngx_memmove(buf, buf + n - kept, kept);
    }

    ngx_free(buf);
}
