/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c: see wire.h. A product encodes each field and believes no sender; here whoever can send
 * datagrams from this machine is a member.
 */
#include "raft/example/wire.h"

#include <sys/socket.h>
#include "raft/example/clients.h"

void wire_send(int fd, uint16_t port, const struct packet *p)
{
    struct sockaddr_in to = loopback((uint16_t)(port + p->msg.to));
    (void)sendto(fd, p, sizeof(*p), 0, (struct sockaddr *)&to,
                 sizeof(to)); /* the core sends again */
}

/* CONFIG entries carry their configuration as the payload. Return: 0, or -1 when one does not. */
static int decode(const struct packet *p, uint32_t count, struct raft_event *ev)
{
    static struct raft_config_at configs[BATCH];
    ev->configs = configs;
    for (uint32_t i = 0; i < count; i++) {
        struct raft_config_at *c = &configs[ev->configs_count];
        if (p->entries[i].type != RAFT_ENTRY_CONFIG) {
            continue;
        }
        c->index = p->msg.index + 1 + i;
        if (raft_config_decode(p->payloads[i].config, RAFT_CONFIG_BYTES, &c->config) < 0) {
            return -1;
        }
        ev->configs_count++;
    }
    return 0;
}

int wire_take(int fd, struct packet *p, struct raft_event *ret_ev)
{
    ssize_t n = recv(fd, p, sizeof(*p), 0);
    if (n != sizeof(*p) || p->cluster != CLUSTER || p->msg.count > BATCH) {
        return 0;
    }
    uint32_t count = p->msg.type == RAFT_MSG_APPEND ? p->msg.count : 0;
    *ret_ev = (struct raft_event){
        .type = RAFT_EV_RECV, .msg = &p->msg, .entries = p->entries, .count = count};
    if (p->msg.type == RAFT_MSG_SNAPSHOT) {
        ret_ev->configs = &p->config;
        ret_ev->configs_count = 1;
        return 1;
    }
    return decode(p, count, ret_ev) == 0;
}
