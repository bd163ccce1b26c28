/* SPDX-License-Identifier: Apache-2.0 */
/* base.c: see base.h. The loop's thread. */
#include "server/shell/base.h"

#include <event2/event.h>

struct event_base *base_create(void)
{
    struct event_config *config = event_config_new();
    if (config == NULL) {
        return NULL;
    }
    /* One thread uses it: no locks. Descriptors are never duplicated: changes can be batched. */
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    (void)event_config_require_features(config, EV_FEATURE_ET);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

void base_destroy(struct event_base *base)
{
    if (base != NULL) {
        event_base_free(base);
    }
}

void base_turn(struct event_base *base, bool sleep)
{
    /* It fails only without any event or when epoll itself is broken: the watchdog's business. */
    (void)event_base_loop(base, EVLOOP_ONCE | (sleep ? 0 : EVLOOP_NONBLOCK));
}

void base_turn_within(struct event_base *base, uint32_t wait_ms)
{
    struct timeval tv = {.tv_sec = wait_ms / 1000, .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000};
    (void)event_base_loopexit(base, &tv);
    (void)event_base_loop(base, EVLOOP_ONCE);
}
