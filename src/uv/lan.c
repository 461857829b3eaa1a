/* The LAN: announcements to a multicast group of the fleet's own.
 *
 * One plain socket for each family, read through uv_poll, because libuv's own reading hides where a
 * packet was addressed to: only packets to the group count, and the interface they came in on names
 * the (interface, family) pair that the core knows.  Pairs keep their number for the life of the
 * process; interfaces that come up later take one of the spare places.  With --lan off nothing here
 * opens a socket. */
#include "loop.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATAGRAM_MAX     512u
#define DATAGRAMS_A_TURN 32u
#define DATAGRAM_QUEUE   (64 * 1024) /* bytes of kernel buffer: hints may be lost */

static int family_index(uint8_t family)
{
    return family == 4 ? 0 : 1;
}

/* 239.255.x.y and ff02::xxxx:yyyy, from the fleet id: fleets on one wire do not wake each other. */
static void choose_groups(struct host *h)
{
    struct host_lan *l = &h->lan;
    struct digest d;
    hash_domain(&d, "fwswarm-lan-group", bytes_of(h->opt->device->fleet.b, 32), bytes_of(NULL, 0));
    l->group4[0] = 239;
    l->group4[1] = 255;
    memcpy(l->group4 + 2, d.b, 2);
    l->group6[0] = 0xff;
    l->group6[1] = 0x02;
    memcpy(l->group6 + 12, d.b, 4);
}

/* ---- sockets ---- */
static int open_socket(struct host *h, uint8_t family)
{
    int on = 1, off = 0, size = DATAGRAM_QUEUE;
    struct sockaddr_storage ss;
    struct addr any = {.family = family, .port = h->opt->lan_port};
    int fd = socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (family == 4) {
        ok = ok && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) == 0;
        (void)setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof(off));
        ok = ok && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &on, sizeof(on)) == 0;
        ok = ok && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &on, sizeof(on)) == 0;
    } else {
        ok = ok && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0;
        ok = ok && setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) == 0;
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off, sizeof(off));
        ok = ok && setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &on, sizeof(on)) == 0;
        ok = ok && setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &on, sizeof(on)) == 0;
    }
    addr_to_sockaddr(&any, &ss);
    socklen_t len = family == 4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    ok = ok && bind(fd, (struct sockaddr *)&ss, len) == 0;
    if (!ok) {
        log_warn(h->log, "lan.socket",
                 "family=%u port=%u err=%s mend=\"choose another --lan-port, or "
                 "--lan off\"",
                 family, h->opt->lan_port, strerrorname_np(errno));
        close(fd);
        return -1;
    }
    return fd;
}

static bool join(struct host *h, uint8_t family, uint32_t ifindex)
{
    struct host_lan *l = &h->lan;
    int *fd = &l->fd[family_index(family)];
    if (*fd < 0)
        *fd = open_socket(h, family);
    if (*fd < 0)
        return false;
    int r;
    if (family == 4) {
        struct ip_mreqn m = {.imr_ifindex = (int)ifindex};
        memcpy(&m.imr_multiaddr, l->group4, 4);
        r = setsockopt(*fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m));
    } else {
        struct ipv6_mreq m = {.ipv6mr_interface = ifindex};
        memcpy(&m.ipv6mr_multiaddr, l->group6, 16);
        r = setsockopt(*fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m, sizeof(m));
    }
    /* Still joined from before: an interface that went and came back under the same index. */
    if (r != 0 && errno != EADDRINUSE) {
        log_warn(h->log, "lan.join", "ifindex=%u family=%u err=%s", ifindex, family,
                 strerrorname_np(errno));
        return false;
    }
    return true;
}

/* ---- interfaces ---- */
static bool chosen(const struct host *h, const uv_interface_address_t *a)
{
    const struct host_names *names = &h->opt->lan_interfaces;
    if (names->count == 0)
        return !a->is_internal;
    for (uint32_t i = 0; i < names->count; i++)
        if (strcmp(names->name[i], a->name) == 0)
            return true;
    return false;
}

static struct lan_pair *find_pair(struct host_lan *l, uint8_t family, uint32_t ifindex)
{
    for (uint32_t i = 0; i < l->pairs; i++)
        if (l->pair[i].family == family && l->pair[i].ifindex == ifindex)
            return &l->pair[i];
    return NULL;
}

static struct lan_pair *add_pair(struct host *h, uint8_t family, uint32_t ifindex, const char *name)
{
    struct host_lan *l = &h->lan;
    uint32_t limit = l->places > 0 ? l->places : LAN_PAIRS_MAX;
    if (l->pairs == limit)
        return NULL;
    struct lan_pair *p = &l->pair[l->pairs];
    memset(p, 0, sizeof(*p));
    p->family = family;
    p->ifindex = ifindex;
    strncpy(p->name, name, sizeof(p->name) - 1);
    l->pairs++;
    return p;
}

/* One address of one interface; IPv6 counts by its link-local address. */
static void see(struct host *h, const uv_interface_address_t *a, bool *seen)
{
    struct host_lan *l = &h->lan;
    struct addr addr;
    struct sockaddr_storage ss;
    memcpy(&ss, &a->address, sizeof(a->address));
    if (!chosen(h, a) || !addr_from_sockaddr(&addr, (struct sockaddr *)&ss))
        return;
    if (addr.family == 6 && !(addr.ip[0] == 0xfe && (addr.ip[1] & 0xc0) == 0x80))
        return;
    uint32_t ifindex = if_nametoindex(a->name);
    if (ifindex == 0)
        return;
    struct lan_pair *p = find_pair(l, addr.family, ifindex);
    if (p == NULL)
        p = add_pair(h, addr.family, ifindex, a->name);
    if (p == NULL)
        return;
    seen[p - l->pair] = true;
    if (addr.family == 4)
        memcpy(p->ip4, addr.ip, 4);
    if (p->live)
        return;
    p->live = join(h, addr.family, ifindex);
    if (p->live)
        log_info(h->log, "lan.joined", "interface=%s family=%u iface=%u port=%u", a->name,
                 addr.family, (unsigned)(p - l->pair), h->opt->lan_port);
}

static void scan(struct host *h)
{
    struct host_lan *l = &h->lan;
    uv_interface_address_t *all;
    int count;
    bool seen[LAN_PAIRS_MAX] = {false};
    if (uv_interface_addresses(&all, &count) != 0)
        return;
    for (int i = 0; i < count; i++)
        see(h, &all[i], seen);
    uv_free_interface_addresses(all, count);
    for (uint32_t i = 0; i < l->pairs; i++) {
        if (l->pair[i].live && !seen[i])
            log_info(h->log, "lan.left", "interface=%s family=%u", l->pair[i].name,
                     l->pair[i].family);
        l->pair[i].live = l->pair[i].live && seen[i];
    }
}

/* ---- receiving ---- */

/* The interface of a packet to the group, or 0. */
static uint32_t arrival(const struct host_lan *l, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            return memcmp(&info.ipi_addr, l->group4, 4) == 0 ? (uint32_t)info.ipi_ifindex : 0;
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            return memcmp(&info.ipi6_addr, l->group6, 16) == 0 ? (uint32_t)info.ipi6_ifindex : 0;
        }
    }
    return 0;
}

/* Reads one packet; false when there is none. */
static bool receive_one(struct host *h, int fd)
{
    struct host_lan *l = &h->lan;
    uint8_t data[DATAGRAM_MAX];
    _Alignas(struct cmsghdr) uint8_t control[128];
    struct sockaddr_storage from;
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr m = {.msg_name = &from,
                       .msg_namelen = sizeof(from),
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &m, 0);
    if (n < 0)
        return errno == EINTR;
    uint32_t ifindex = arrival(l, &m);
    struct event ev = {.type = EV_DATAGRAM};
    if (ifindex == 0 || (m.msg_flags & MSG_TRUNC) != 0 || n == 0 ||
        !addr_from_sockaddr(&ev.datagram.from, (struct sockaddr *)&from))
        return true;
    struct lan_pair *p = find_pair(l, ev.datagram.from.family, ifindex);
    if (p == NULL || !p->live)
        return true;
    ev.datagram.iface = (uint32_t)(p - l->pair);
    ev.datagram.data = bytes_of(data, (size_t)n);
    host_event(h, &ev);
    return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct host *h = poll->data;
    int fd = h->lan.fd[poll == &h->lan.poll[0] ? 0 : 1];
    (void)events;
    if (status != 0)
        return;
    for (uint32_t i = 0; i < DATAGRAMS_A_TURN && receive_one(h, fd); i++)
        ;
}

static void read_sockets(struct host *h)
{
    struct host_lan *l = &h->lan;
    for (int i = 0; i < 2; i++) {
        if (l->fd[i] < 0 || l->polling[i])
            continue;
        int r = uv_poll_init(&h->loop, &l->poll[i], l->fd[i]);
        assert(r == 0);
        l->poll[i].data = h;
        l->polling[i] = true;
        r = uv_poll_start(&l->poll[i], UV_READABLE, on_readable);
        assert(r == 0);
    }
}

/* ---- sending ---- */
void host_lan_send(struct host *h, uint32_t iface, const uint8_t *p, size_t n)
{
    struct host_lan *l = &h->lan;
    struct addr to = {.port = h->opt->lan_port};
    struct sockaddr_storage ss;
    if (iface >= l->pairs || !l->pair[iface].live)
        return;
    const struct lan_pair *pair = &l->pair[iface];
    int fd = l->fd[family_index(pair->family)];
    to.family = pair->family;
    if (pair->family == 4) {
        struct ip_mreqn m = {.imr_ifindex = (int)pair->ifindex};
        memcpy(to.ip, l->group4, 4);
        memcpy(&m.imr_address, pair->ip4, 4);
        if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof(m)) != 0)
            return;
    } else {
        memcpy(to.ip, l->group6, 16);
        to.scope = pair->ifindex;
    }
    addr_to_sockaddr(&to, &ss);
    socklen_t len = pair->family == 4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (sendto(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&ss, len) < 0)
        log_debug(h->log, "lan.send", "interface=%s family=%u err=%s", pair->name, pair->family,
                  strerrorname_np(errno));
}

/* ---- begin and end ---- */
static void on_rescan(uv_timer_t *timer)
{
    struct host *h = timer->data;
    host_now(h);
    scan(h);
    read_sockets(h);
}

void host_lan_open(struct host *h)
{
    struct host_lan *l = &h->lan;
    l->fd[0] = l->fd[1] = -1;
    l->on = h->opt->lan;
    if (!l->on)
        return;
    choose_groups(h);
    scan(h);
    l->places = l->pairs + LAN_SPARE;
    if (l->places > LAN_PAIRS_MAX)
        l->places = LAN_PAIRS_MAX;
    if (l->pairs == 0)
        log_warn(h->log, "lan.none",
                 "mend=\"no interface is up that multicast can use; name one with --lan-interface, "
                 "or say --lan off\"");
    read_sockets(h);
    int r = uv_timer_init(&h->loop, &l->rescan);
    assert(r == 0);
    l->rescan.data = h;
    r = uv_timer_start(&l->rescan, on_rescan, LAN_RESCAN_MS, LAN_RESCAN_MS);
    assert(r == 0);
}

void host_lan_close(struct host *h)
{
    struct host_lan *l = &h->lan;
    if (!l->on)
        return;
    uv_close((uv_handle_t *)&l->rescan, NULL);
    for (int i = 0; i < 2; i++) {
        if (l->polling[i])
            uv_close((uv_handle_t *)&l->poll[i], NULL);
        if (l->fd[i] >= 0)
            close(l->fd[i]);
        l->polling[i] = false;
        l->fd[i] = -1;
    }
    l->on = false;
}
