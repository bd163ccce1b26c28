/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h: the sizes in the format of saved states, shared by snapshot.c (which describes it) and
 * load.c.
 */
#ifndef COORD_SERVER_MACHINE_SNAPSHOT_H
#define COORD_SERVER_MACHINE_SNAPSHOT_H

#define SNAPSHOT_MAGIC          "coordst"
#define SNAPSHOT_VERSION        2
#define SNAPSHOT_VERSION_FIRST  1 /* without the limits; loaded, not written */
#define SNAPSHOT_HEAD_BYTES     56
#define SNAPSHOT_SESSION_BYTES  60
#define SNAPSHOT_ANSWER_BYTES   16
#define SNAPSHOT_NODE_BYTES     49
#define SNAPSHOT_NODE_BYTES_MAX (SNAPSHOT_NODE_BYTES + 24 + 8 + 16)

#define SNAPSHOT_HAS_DATA  1
#define SNAPSHOT_HAD_CHILD 2
#define SNAPSHOT_HAS_QUOTA 4
#define SNAPSHOT_FLAGS_ALL (SNAPSHOT_HAS_DATA | SNAPSHOT_HAD_CHILD | SNAPSHOT_HAS_QUOTA)

#endif
