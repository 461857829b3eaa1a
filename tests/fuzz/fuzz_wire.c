/* Bytes as a message: split, decode, print; what is accepted must encode to the same bytes. */
#include "fwswarm/wire.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t id;
    struct bytes head, body;
    enum err e = wire_split(bytes_of(data, size), &id, &head, &body);
    assert(e == E_OK || head.n + body.n == 0);
    if (e != E_OK)
        return 0;
    assert(head.n + body.n == size);
    struct wire_msg m;
    if (wire_decode(&m, head) != E_OK)
        return 0;
    assert(m.id == (enum msg_id)id);
    uint8_t again[WIRE_HEAD_MAX];
    size_t n = wire_encode(&m, again);
    assert(n == head.n);
    assert(memcmp(again, head.p, n) == 0);
    assert(wire_equal(&m, &m));
    char line[200];
    n = wire_print(&m, line, sizeof line);
    assert(n == strlen(line));
    for (size_t i = 0; i < n; i++)
        assert(line[i] >= 0x20 && line[i] < 0x7f);
    return 0;
}
