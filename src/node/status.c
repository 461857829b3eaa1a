/* What status and the simulator's checks may look at.  Nothing here changes anything. */
#include "node/internal.h"

#include <string.h>

const char *release_state_name(enum release_state s)
{
    switch (s) {
    case RELEASE_NONE:
        return "none";
    case RELEASE_KNOWN:
        return "known";
    case RELEASE_FETCHING:
        return "fetching";
    case RELEASE_CHECKING:
        return "checking";
    case RELEASE_HELD:
        return "held";
    case RELEASE_ASKING:
        return "asking";
    case RELEASE_INSTALLING:
        return "installing";
    case RELEASE_PENDING:
        return "pending";
    case RELEASE_CONFIRMED:
        return "confirmed";
    case RELEASE_FAILED:
        return "failed";
    case RELEASE_REJECTED:
        return "rejected";
    case RELEASE_WITHDRAWN:
        return "withdrawn";
    case RELEASE_REFUSED:
        return "refused";
    }
    return "unknown";
}

bool node_image_status(const struct node *n, uint32_t slot, struct node_image_status *out)
{
    if (slot >= n->lim.images || !release_slot_used(&n->slots[slot]))
        return false;
    const struct slot *s = &n->slots[slot];
    *out = (struct node_image_status){
        .state = s->state,
        .err = s->err,
        .manifest = &s->m,
        .geo = s->geo,
        .pieces_have = s->opened ? picker_pieces_have(s->picker) : 0,
        .blocks_have = s->opened ? picker_blocks_have(s->picker) : 0,
        .bytes_origin = s->bytes_origin,
        .bytes_peer = s->bytes_peer,
        .bytes_resumed = s->bytes_resumed,
        .bytes_up = s->bytes_up,
        .bytes_wasted = s->bytes_wasted,
        .install_tries = s->install_tries,
        .install_code = s->install_code,
        .newest = s->newest,
    };
    return true;
}

bool node_link_status(const struct node *n, uint32_t i, struct node_link_status *out)
{
    for (uint32_t k = 0; k < n->links_top; k++) {
        const struct nlink *l = &n->links[k];
        if (!link_live(l) || i-- > 0)
            continue;
        *out = (struct node_link_status){
            .link = l->id,
            .who = l->who,
            .addr = l->addr,
            .dialled = l->dialled,
            .ready = l->phase == LINK_READY,
            .bytes_up = l->bytes_up,
            .bytes_down = l->bytes_down,
            .requests_out = l->asks_count,
            .requests_in = l->uploads_count,
            .queued = l->queued,
        };
        return true;
    }
    return false;
}

void node_status(const struct node *n, struct node_status *out)
{
    memset(out, 0, sizeof(*out));
    out->self = n->self.node;
    out->role = n->conf.role;
    out->root_version = n->trust.root.version;
    out->revocation_root = n->trust.revoked.root_version;
    out->revocation_version = n->trust.revoked.version;
    out->floor_root = n->floor_root;
    out->floor_sequence = n->floor_sequence;
    out->links = n->links_count;
    out->known = n->known.count;
    out->bans = bans_count(&n->bans, n->now);
    memcpy(out->current_version, n->current.version, sizeof(out->current_version));
    out->current_digest = n->current.digest;
    out->current_sequence = n->current.sequence;
    out->current_mismatch = n->current.mismatch;
    memcpy(out->cases, n->cases, sizeof(out->cases));
    out->verified_jointly = n->jointly;
    out->mismatches = n->mismatches;
    out->fresh_at = n->fresh_at;
    out->bytes_up = n->bytes_up;
    out->bytes_down = n->bytes_down;
}
