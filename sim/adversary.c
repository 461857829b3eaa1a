/* Nodes that mean harm: a layer in front of an honest core. */
#include "adversary.h"

void adversary_init(struct world *w)
{
    (void)w;
}

void adversary_fini(struct world *w)
{
    (void)w;
}

bool adversary_action(struct world *w, uint32_t node, struct action *act, uint8_t *head,
                      struct body *body)
{
    (void)w;
    (void)node;
    (void)act;
    (void)head;
    (void)body;
    return true;
}

bool adversary_event(struct world *w, uint32_t node, struct event *ev)
{
    (void)w;
    (void)node;
    (void)ev;
    return true;
}

void adversary_tick(struct world *w, uint32_t node, uint32_t what)
{
    (void)w;
    (void)node;
    (void)what;
}
