/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c: the replicated state of the simulator (model.h): small, deterministic, and with real
 * bytes, so that snapshots of it are real files.
 *
 *   offset  bytes  content (host byte order: the files never leave the process)
 *        0      n  struct machine
 *        n    pad  bytes that follow from the chain
 */
#include "tests/sim/model.h"

#include "tests/sim/rng.h"

#include <string.h>

void payload_make(uint8_t *buf, uint32_t bytes, uint64_t id, uint64_t value)
{
    memcpy(buf, &id, sizeof(id));
    memcpy(buf + sizeof(id), &value, sizeof(value));
    for (uint32_t i = PAYLOAD_MIN; i < bytes; i++) {
        buf[i] = (uint8_t)(id * 31 + i);
    }
}

uint64_t payload_id(const uint8_t *data, uint32_t bytes)
{
    uint64_t id = 0;
    if (bytes < PAYLOAD_MIN) {
        return 0;
    }
    memcpy(&id, data, sizeof(id));
    for (uint32_t i = PAYLOAD_MIN; i < bytes; i++) {
        if (data[i] != (uint8_t)(id * 31 + i)) {
            return 0;
        }
    }
    return id;
}

void machine_apply(struct machine *m, const struct item *it)
{
    m->applied++;
    m->term = it->term;
    m->chain = item_chain(m->chain, it->term, it->type, it->data, it->bytes);
    if (it->type == RAFT_ENTRY_COMMAND && it->bytes >= PAYLOAD_MIN) {
        uint64_t id = payload_id(it->data, it->bytes);
        memcpy(&m->values[id % MACHINE_KEYS], it->data + sizeof(id), sizeof(uint64_t));
        m->writes[id % MACHINE_KEYS]++;
        m->commands++;
    }
}

size_t machine_bytes(uint32_t pad)
{
    return sizeof(struct machine) + pad;
}

static uint8_t pad_byte(const struct machine *m, uint32_t i)
{
    return (uint8_t)(m->chain >> (i % 7)) ^ (uint8_t)i;
}

void machine_save(const struct machine *m, uint32_t pad, uint8_t *buf)
{
    memcpy(buf, m, sizeof(*m));
    for (uint32_t i = 0; i < pad; i++) {
        buf[sizeof(*m) + i] = pad_byte(m, i);
    }
}

int machine_load(struct machine *m, uint32_t pad, const uint8_t *buf, size_t bytes)
{
    if (bytes != machine_bytes(pad)) {
        return 0;
    }
    struct machine found;
    memcpy(&found, buf, sizeof(found));
    for (uint32_t i = 0; i < pad; i++) {
        if (buf[sizeof(found) + i] != pad_byte(&found, i)) {
            return 0;
        }
    }
    *m = found;
    return 1;
}
