/* SPDX-License-Identifier: Apache-2.0 */
/* wake.c: see wake.h. */
#include "server/shell/wake.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int wake_init(struct wake *w)
{
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&w->set, false);
    return w->fd < 0 ? -errno : 0;
}

void wake_finish(struct wake *w)
{
    if (w->fd >= 0) {
        (void)close(w->fd);
    }
    w->fd = -1;
}

void wake_signal(struct wake *w)
{
    if (!atomic_exchange(&w->set, true)) {
        uint64_t one = 1;
        /* It can only fail when the counter is full, after 2^64 - 2 signals. */
        ssize_t n = write(w->fd, &one, sizeof(one));
        (void)n;
    }
}

void wake_clear(struct wake *w)
{
    atomic_store(&w->set, false);
}
