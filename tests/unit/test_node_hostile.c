/* The node against members that mean harm: they are enrolled, speak the protocol, and say what no
 * honest node says, or at a time when none does. */
#include "mesh_fleet.h"

/* ---- what was said of one image is not taken for the next in its slot ---- */

struct seen {
    uint32_t slot, block, blocks; /* of node 0's last block to node 1 */
    uint32_t far_slot;            /* of node 1, as selected last */
    uint32_t piece_blocks;
};

static bool watch(struct mesh *m, uint32_t from, uint32_t to, const struct wire_msg *msg)
{
    struct seen *s = m->filter_ctx;
    if (from == 0 && to == 1 && msg->id == MSG_piece) {
        uint32_t block = msg->piece.piece * s->piece_blocks + msg->piece.begin / BLOCK_LEN;
        s->block = block > s->block ? block : s->block;
        s->blocks++;
    }
    if (from == 1 && to == 0 && msg->id == MSG_open)
        s->far_slot = msg->open.slot;
    return true;
}

START_TEST(a_block_of_an_image_that_is_gone_is_not_rechecked_in_the_next)
{
    struct mesh *m = fleet(1, SIZE);
    struct seen seen = {0};
    struct geometry g;
    ck_assert_int_eq(geometry_init(&g, SIZE, m->release[0].m.piece_length), E_OK);
    seen.piece_blocks = g.piece_blocks;
    m->filter = watch;
    m->filter_ctx = &seen;
    device_up(m, 1);
    run(m, 20 * SEC);
    ck_assert_int_eq(state_of(m, 1, 0), RELEASE_HELD);
    ck_assert_uint_gt(seen.block, 10);
    /* The slot of release 0 goes to a much smaller one. */
    mesh_release(m, NULL, "1.1", 2, 20000);
    mesh_seed(m, 0, 1);
    run(m, 20 * SEC);
    ck_assert_int_eq(state_of(m, 0, 0), RELEASE_NONE);
    mesh_release(m, NULL, "1.2", 3, 20001);
    mesh_seed(m, 0, 2);
    run(m, 20 * SEC);
    ck_assert_int_eq(state_of(m, 1, 2), RELEASE_HELD);
    struct wire_msg select = message(MSG_select), bad = message(MSG_bad_block);
    select.select.slot = (uint16_t)seen.far_slot;
    bad.bad_block.block = seen.block;
    mesh_message(m, 1, 0, &select, NULL, 0);
    mesh_message(m, 1, 0, &bad, NULL, 0);
    run(m, 5 * SEC);
    ck_assert_int_eq(state_of(m, 0, 2), RELEASE_HELD);
    mesh_free(m);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("node_hostile");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_block_of_an_image_that_is_gone_is_not_rechecked_in_the_next);
    return run_node_tests(t, "node_hostile");
}
