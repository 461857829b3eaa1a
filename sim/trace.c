/* A running hash over (sequence, time, node, event type, link, head), and lines for people.
 *
 * The hash takes eight bytes at a time, put together by shifts, so that it is the same on every
 * machine.  It need not resist anybody: it tells runs apart. */
#include "trace.h"

#include "fwswarm/wire.h"

#include <inttypes.h>
#include <string.h>

static uint64_t fold(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static uint64_t eight(const uint8_t *p)
{
    return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
           (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
           (uint64_t)p[6] << 8 | p[7];
}

static uint64_t fold_bytes(uint64_t h, struct bytes b)
{
    size_t i = 0;
    for (; i + 8 <= b.n; i += 8)
        h = fold(h, eight(b.p + i));
    uint64_t v = b.n;
    for (; i < b.n; i++)
        v = v << 8 | b.p[i];
    return fold(h, v);
}

static const char *event_name(enum event_type t)
{
    switch (t) {
    case EV_START:
        return "start";
    case EV_LOADED:
        return "loaded";
    case EV_READY:
        return "ready";
    case EV_TIME:
        return "time";
    case EV_UP:
        return "up";
    case EV_DOWN:
        return "down";
    case EV_MSG:
        return "msg";
    case EV_DATAGRAM:
        return "datagram";
    case EV_SENT:
        return "sent";
    case EV_OPENED:
        return "opened";
    case EV_STORED:
        return "stored";
    case EV_SAVED:
        return "saved";
    case EV_CHECKED:
        return "checked";
    case EV_LEARNT:
        return "learnt";
    case EV_ORDER:
        return "order";
    }
    return "?";
}

static void print_head(FILE *f, struct bytes head)
{
    struct wire_msg m;
    char line[2048];
    if (wire_decode(&m, head) != E_OK) {
        fprintf(f, " undecodable head of %zu bytes", head.n);
        return;
    }
    wire_print(&m, line, sizeof(line));
    fprintf(f, " %s", line);
}

static void print_event(struct world *w, uint32_t node, const struct event *ev)
{
    FILE *f = w->trace;
    fprintf(f, "%" PRIu64 ".%06" PRIu64 " #%" PRIu64 " node=%u %s", w->now / SEC, w->now % SEC,
            w->steps, node, event_name(ev->type));
    if (ev->link != 0)
        fprintf(f, " link=%u", ev->link);
    if (ev->op != 0)
        fprintf(f, " op=%u", ev->op);
    if (ev->err != E_OK)
        fprintf(f, " err=%s", err_name(ev->err));
    if (ev->type == EV_UP)
        fprintf(f, " far=%u", ev->up.who.index);
    if (ev->type == EV_SENT)
        fprintf(f, " bytes=%u", ev->sent.bytes);
    if (ev->type == EV_ORDER)
        fprintf(f, " order=%d slot=%u", (int)ev->order.what, ev->order.slot);
    if (ev->type == EV_LOADED)
        fprintf(f, " object=%08x bytes=%zu", ev->loaded.object, ev->loaded.data.n);
    if (ev->type == EV_MSG) {
        print_head(f, ev->msg.head);
        if (ev->msg.body != NULL)
            fprintf(f, " body=%u%s", ev->msg.body_len, ev->msg.body->corrupt ? " corrupt" : "");
    }
    fputc('\n', f);
}

void trace_event(struct world *w, uint32_t node, const struct event *ev)
{
    uint64_t h = w->trace_hash;
    h = fold(h, w->steps);
    h = fold(h, w->now);
    h = fold(h, (uint64_t)node << 8 | (uint64_t)ev->type);
    h = fold(h, ev->link);
    if (ev->type == EV_MSG)
        h = fold_bytes(h, ev->msg.head);
    w->trace_hash = h;
    if (w->trace != NULL)
        print_event(w, node, ev);
}

void trace_action(struct world *w, const struct action *act, const uint8_t *head)
{
    FILE *f = w->trace;
    switch (act->type) {
    case ACT_DIAL:
        fprintf(f, "  dial op=%u 10.%u.%u.%u:%u\n", act->op, act->dial.addr.ip[1],
                act->dial.addr.ip[2], act->dial.addr.ip[3], act->dial.addr.port);
        return;
    case ACT_SEND:
        fprintf(f, "  send link=%u", act->link);
        print_head(f, bytes_of(head, act->head_len));
        if (act->send.span.object != OBJ_NONE)
            fprintf(f, " object=%08x off=%" PRIu64 " len=%u", act->send.span.object,
                    act->send.span.off, act->send.span.len);
        fputc('\n', f);
        return;
    case ACT_CAST:
        fprintf(f, "  cast iface=%u\n", act->cast.iface);
        return;
    case ACT_CLOSE:
        fprintf(f, "  close link=%u err=%s\n", act->link, err_name(act->err));
        return;
    case ACT_OPEN:
        fprintf(f, "  open slot=%u create=%d\n", act->open.slot, act->open.create);
        return;
    case ACT_SHUT:
        fprintf(f, "  shut slot=%u remove=%d\n", act->shut.slot, act->shut.remove);
        return;
    case ACT_STORE:
        fprintf(f, "  store op=%u object=%08x off=%" PRIu64 " len=%u\n", act->op,
                act->store.at.object, act->store.at.off, act->store.at.len);
        return;
    case ACT_SAVE:
        fprintf(f, "  save op=%u object=%08x bytes=%zu last=%d\n", act->op, act->save.object,
                act->save.data.p != NULL ? act->save.data.n : act->head_len, act->save.last);
        return;
    case ACT_CHECK:
        fprintf(f, "  check op=%u slot=%u block=%u count=%u whole=%d\n", act->op, act->check.slot,
                act->check.block, act->check.count, act->check.whole);
        return;
    case ACT_TELL:
        fprintf(f, "  tell what=%d slot=%u\n", (int)act->tell.what, act->tell.slot);
        return;
    }
}

void trace_note(struct world *w, uint32_t node, const char *what)
{
    if (w->trace != NULL)
        fprintf(w->trace, "%" PRIu64 ".%06" PRIu64 " node=%u %s\n", w->now / SEC, w->now % SEC,
                node, what);
}

void trace_log(void *ctx, enum log_level level, const char *line, size_t n)
{
    const struct world *w = ctx;
    (void)level;
    fputs("  log ", w->trace);
    fwrite(line, 1, n, w->trace);
}
