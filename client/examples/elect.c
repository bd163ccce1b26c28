/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elect.c: a service of which exactly one instance leads.
 *
 *   elect SERVERS NAME ADDRESS
 *
 * Stands for election as ADDRESS. While it leads it prints `leading TOKEN` and serves; when it must stop
 * leading it prints `stopped`, steps down, and stands again. SIGTERM and SIGINT end it: it resigns first, so that
 * the next candidate takes over at once.
 *
 * Everything happens on one thread, in one poll loop that waits for coord and for signals alike.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <coord/recipes.h>

struct service {
    struct coord_election *election; /* NULL while it does not stand */
    bool leads;
    bool over; /* the campaign or the leadership has ended: stand again */
};

static void on_campaign(struct coord_election *e, int error, uint64_t token, void *arg)
{
    struct service *s = arg;

    (void)e; /* s has it */
    if (error != 0) {
        fprintf(stderr, "elect: the campaign ended: %s\n", coord_strerror(error));
        s->over = true;
        return;
    }
    s->leads = true;
    printf("leading %" PRIu64 "\n", token);
    fflush(stdout);
}

/* From here on another may become leader soon: everything that only the leader may do ends now. */
static void on_stop(struct coord_election *e, int error, void *arg)
{
    struct service *s = arg;

    (void)e; /* s has it */
    s->leads = false;
    s->over = true;
    printf("stopped: %s\n", coord_strerror(error));
    fflush(stdout);
}

static int stand(struct coord *c, struct service *s, const char *name, const char *address)
{
    struct coord_election_options o;

    coord_election_options_init(&o);
    o.value = address;
    o.value_bytes = strlen(address);
    o.stop = on_stop;
    o.stop_arg = s;
    s->over = false;
    return coord_election_campaign(c, name, &o, on_campaign, s, &s->election);
}

/* Turn the loop until a signal. Return: 0, or an error of coord. */
static int serve(struct coord *c, struct service *s, int signals, char **argv)
{
    int rc = stand(c, s, argv[2], argv[3]);

    while (rc == 0) {
        struct pollfd fds[2] = {{.fd = coord_fd(c), .events = coord_events(c)},
                                {.fd = signals, .events = POLLIN}};
        (void)poll(fds, 2, coord_timeout_ms(c)); /* interrupted: nothing is ready */
        if (fds[1].revents != 0) {
            break;
        }
        rc = coord_dispatch(c);
        if (rc == 0 && s->over) {
            rc = coord_election_resign_sync(s->election) == 0 ? 0 : rc;
            s->election = NULL;
            rc = stand(c, s, argv[2], argv[3]);
        }
    }
    return rc;
}

static int open_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    struct service s = {.election = NULL};
    struct coord_options o;
    struct coord *c = NULL;
    char why[256] = "";

    if (argc != 4) {
        fprintf(stderr, "usage: elect SERVERS NAME ADDRESS\n");
        return 2;
    }
    int signals = open_signals();
    coord_options_init(&o);
    o.servers = argv[1];
    o.name = "example-elect";
    o.session_timeout_ms = 3000; /* how long the service may be without a leader after a crash */
    if (signals < 0 || coord_open(&o, &c, why, sizeof why) != 0) {
        fprintf(stderr, "elect: %s\n", why);
        return EXIT_FAILURE;
    }
    int rc = serve(c, &s, signals, argv);
    if (rc != 0) {
        fprintf(stderr, "elect: %s\n", coord_strerror(rc));
    } else if (s.election != NULL && coord_election_resign_sync(s.election) == 0) {
        puts("resigned");
    }
    coord_close(c);
    (void)close(signals);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
