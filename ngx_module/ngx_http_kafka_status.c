/* Counters in shared memory, and the pages that show them. */

#include "ngx_http_kafka_module.h"
#include "version.h"
#include <signal.h>


#define NGX_HTTP_KAFKA_SLOTS  512    /* workers, old and new ones */


typedef struct {
    ngx_http_kafka_counters_t  counters;
    ngx_http_kafka_slot_t      slots[NGX_HTTP_KAFKA_SLOTS];
} ngx_http_kafka_shared_t;


static ngx_int_t ngx_http_kafka_status_init(ngx_shm_zone_t *zone, void *data);
static ngx_uint_t ngx_http_kafka_slot_dead(ngx_http_kafka_slot_t *slot);
static ngx_int_t ngx_http_kafka_send_page(ngx_http_request_t *r,
    ngx_uint_t status, u_char *text, u_char *last);


/* where every slot is taken */
static ngx_http_kafka_slot_t  ngx_http_kafka_no_slot;

static ngx_str_t  ngx_http_kafka_page_type = ngx_string("application/json");


ngx_int_t
ngx_http_kafka_status_zone(ngx_conf_t *cf, ngx_http_kafka_main_conf_t *kmcf)
{
    ngx_str_t  name;

    ngx_str_set(&name, "sluice_status");

    kmcf->zone = ngx_shared_memory_add(cf, &name,
                                       8 * ngx_pagesize
                                       + 2 * sizeof(ngx_http_kafka_shared_t),
                                       &ngx_http_kafka_module);
    if (kmcf->zone == NULL) {
        return NGX_ERROR;
    }

    kmcf->zone->init = ngx_http_kafka_status_init;
    kmcf->zone->data = kmcf;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_status_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t             *shpool;
    ngx_http_kafka_shared_t     *shared;
    ngx_http_kafka_main_conf_t  *kmcf;

    kmcf = zone->data;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    /* after a reload the counters go on */

    if (data || zone->shm.exists) {
        shared = shpool->data;

    } else {
        shared = ngx_slab_calloc(shpool, sizeof(ngx_http_kafka_shared_t));
        if (shared == NULL) {
            return NGX_ERROR;
        }

        shpool->data = shared;
    }

    kmcf->counters = &shared->counters;

    return NGX_OK;
}


void
ngx_http_kafka_status_enter(ngx_http_kafka_main_conf_t *kmcf)
{
    ngx_uint_t                i;
    ngx_atomic_uint_t         pid;
    ngx_slab_pool_t          *shpool;
    ngx_http_kafka_slot_t    *slot;
    ngx_http_kafka_shared_t  *shared;

    shpool = (ngx_slab_pool_t *) kmcf->zone->shm.addr;
    shared = shpool->data;

    kmcf->slot = &ngx_http_kafka_no_slot;

    for (i = 0; i < NGX_HTTP_KAFKA_SLOTS; i++) {
        slot = &shared->slots[i];
        pid = slot->pid;

        if ((pid == 0 || ngx_http_kafka_slot_dead(slot))
            && ngx_atomic_cmp_set(&slot->pid, pid, ngx_pid))
        {
            slot->kafka.records = 0;
            slot->kafka.bytes = 0;
            slot->in_flight = 0;
            kmcf->slot = slot;
            return;
        }
    }
}


void
ngx_http_kafka_status_leave(ngx_http_kafka_main_conf_t *kmcf)
{
    if (kmcf->slot) {
        kmcf->slot->pid = 0;
    }
}


static ngx_uint_t
ngx_http_kafka_slot_dead(ngx_http_kafka_slot_t *slot)
{
    return kill((pid_t) slot->pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}


ngx_int_t
ngx_http_kafka_status_handler(ngx_http_request_t *r)
{
    u_char                       buf[1024], *p;
    ngx_uint_t                   i, workers, records, bytes, in_flight;
    ngx_slab_pool_t             *shpool;
    ngx_http_kafka_slot_t       *slot;
    ngx_http_kafka_shared_t     *shared;
    ngx_http_kafka_main_conf_t  *kmcf;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);
    shpool = (ngx_slab_pool_t *) kmcf->zone->shm.addr;
    shared = shpool->data;

    workers = 0;
    records = 0;
    bytes = 0;
    in_flight = 0;

    for (i = 0; i < NGX_HTTP_KAFKA_SLOTS; i++) {
        slot = &shared->slots[i];

        if (slot->pid == 0 || ngx_http_kafka_slot_dead(slot)) {
            continue;
        }

        workers++;
        records += slot->kafka.records;
        bytes += slot->kafka.bytes;
        in_flight += slot->in_flight;
    }

    p = ngx_slprintf(buf, buf + sizeof(buf),
                     "{\"version\":\"" SLUICE_VERSION "\","
                     "\"workers\":%ui,"
                     "\"requests\":%uA,"
                     "\"acked\":%uA,"
                     "\"failed\":%uA,"
                     "\"queued\":%ui,"
                     "\"queued_bytes\":%ui,"
                     "\"in_flight\":%ui}\n",
                     workers, shared->counters.requests,
                     shared->counters.kafka.acked,
                     shared->counters.kafka.failed,
                     records, bytes, in_flight);

    return ngx_http_kafka_send_page(r, NGX_HTTP_OK, buf, p);
}


ngx_int_t
ngx_http_kafka_ready_handler(ngx_http_request_t *r)
{
    u_char                       buf[1024], *p, *last;
    ngx_uint_t                   i;
    const char                  *reason;
    ngx_kafka_conf_t           **kcfp;
    ngx_http_kafka_main_conf_t  *kmcf;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);
    kcfp = kmcf->producers.elts;
    last = buf + sizeof(buf);

    for (i = 0; i < kmcf->producers.nelts; i++) {

        reason = kcfp[i]->producer ? ngx_kafka_unready(kcfp[i]->producer)
                                   : "the producer could not start";
        if (reason == NULL) {
            continue;
        }

        p = ngx_slprintf(buf, last, "{\"ready\":false,\"producer\":\"");
        p = ngx_http_kafka_escape(p, last - 256, kcfp[i]->name.data,
                                  kcfp[i]->name.len);
        p = ngx_slprintf(p, last, "\",\"reason\":\"%s\"}\n", reason);

        return ngx_http_kafka_send_page(r, NGX_HTTP_SERVICE_UNAVAILABLE, buf,
                                        p);
    }

    p = ngx_slprintf(buf, last, "{\"ready\":true}\n");

    return ngx_http_kafka_send_page(r, NGX_HTTP_OK, buf, p);
}


ngx_int_t
ngx_http_kafka_live_handler(ngx_http_request_t *r)
{
    u_char  buf[64], *p;

    p = ngx_slprintf(buf, buf + sizeof(buf), "{\"live\":true}\n");

    return ngx_http_kafka_send_page(r, NGX_HTTP_OK, buf, p);
}


static ngx_int_t
ngx_http_kafka_send_page(ngx_http_request_t *r, ngx_uint_t status,
    u_char *text, u_char *last)
{
    ngx_str_t  body;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    body.data = text;
    body.len = last - text;

    return ngx_http_kafka_send(r, status, &ngx_http_kafka_page_type, &body);
}
