/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec.h: what the files of protocol/ share and nobody else includes: the description of messages
 * as data. encode.c and decode.c walk the same rows, so they cannot disagree about order or type.
 *
 * A row says where a value lies in a struct and how it is written; a list of rows ends with a row of
 * kind COORD_FK_END. How each kind looks in msgpack:
 *
 *   U64, U32      unsigned integer                  INT       integer of at least -1
 *   BOOL          true or false                     ENUM      unsigned integer, at most `limit`
 *   BITS          unsigned integer, bits of `limit` BIT       exactly one bit of `limit`
 *   STR           str, absent is written as empty   STR_OPT   str, or nil when absent
 *   BIN_OPT       bin, or nil when absent           SECRET    bin of COORD_SECRET_BYTES, or nil
 *   STRUCT        array of the rows of `sub`
 *   IDS           array of at most `limit` unsigned 32-bit integers
 *   MEMBERS       array of at most `limit` arrays of the rows of `sub` (only inside a STRUCT)
 *   ENTRIES       array of list entries: [name], [name, stat], [name, stat or false, data]
 *   DELTA         integer of 64 bits
 *   IFS           array of [kind, path, number, data]
 *   TXN_OPS       array of [operation, arguments...]
 *   TXN_RESULTS   array of [operation, error, results...]
 *   SESSIONS      array of arrays of the rows of struct coord_session_info
 *
 * Thread: any; only constant data.
 */
#ifndef COORD_PROTOCOL_CODEC_H
#define COORD_PROTOCOL_CODEC_H

#include "protocol/message.h"

enum coord_field_kind {
    COORD_FK_END = 0,
    COORD_FK_U64,
    COORD_FK_U32,
    COORD_FK_INT,
    COORD_FK_DELTA,
    COORD_FK_BOOL,
    COORD_FK_ENUM,
    COORD_FK_BITS,
    COORD_FK_BIT,
    COORD_FK_STR,
    COORD_FK_STR_OPT,
    COORD_FK_BIN_OPT,
    COORD_FK_SECRET,
    COORD_FK_STRUCT,
    COORD_FK_IDS,
    COORD_FK_MEMBERS,
    COORD_FK_ENTRIES,
    COORD_FK_IFS,
    COORD_FK_TXN_OPS,
    COORD_FK_TXN_RESULTS,
    COORD_FK_SESSIONS
};

struct coord_field {
    const char *name; /* as in docs/protocol.md and in error texts */
    enum coord_field_kind kind;
    uint32_t limit;                /* ENUM, BITS, BIT, IDS, MEMBERS; STRUCT: rows of sub */
    size_t offset;                 /* of the value in its struct, bytes */
    size_t count_offset;           /* IDS, MEMBERS, ENTRIES: of the uint32_t count */
    const struct coord_field *sub; /* STRUCT, MEMBERS */
};

struct coord_op_row {
    const char *name; /* lower case */
    enum coord_op_kind kind;
    bool needs_session;
    uint32_t args_count;
    uint32_t results_count;
    const struct coord_field *args;    /* offsets into struct coord_request */
    const struct coord_field *results; /* offsets into struct coord_result */
};

/* The row of an operation, NULL for a number that is none. Thread: any. */
const struct coord_op_row *coord__op_row(uint64_t op);

/* Rows up to COORD_FK_END. Thread: any. */
uint32_t coord__fields_count(const struct coord_field *fields);

/* The arrays that are not an operation's own: each in the order of its struct in message.h. */
extern const struct coord_field coord__receipt_fields[]; /* struct coord_receipt */
extern const struct coord_field coord__stat_fields[];    /* struct coord_node_stat */
extern const struct coord_field coord__error_fields[];   /* struct coord_result: text, detail... */
extern const struct coord_field coord__name_field[];     /* struct coord_list_entry: name */
extern const struct coord_field coord__entry_data_field[]; /* struct coord_list_entry: data */
extern const struct coord_field coord__event_fields[];     /* struct coord_event, without changes */
extern const struct coord_field coord__change_fields[];    /* struct coord_change, fixed part */
extern const struct coord_field coord__value_field[];      /* struct coord_change: value */
extern const struct coord_field coord__previous_field[];   /* struct coord_change: previous */
extern const struct coord_field coord__if_fields[];        /* struct coord_if */
extern const struct coord_field coord__session_fields[];   /* struct coord_session_info */

/* The arguments that an operation has inside a transaction: all but the level, which stands last.
 * The operation is one that may stand in a transaction. Thread: any. */
uint32_t coord__txn_args_count(const struct coord_op_row *row);

/* Items of the arrays of a request and a reply before the operation's own. */
#define COORD_REQUEST_HEAD_ITEMS    3u
#define COORD_REPLY_HEAD_ITEMS      3u
#define COORD_RECEIPT_ITEMS         6u
#define COORD_EVENT_ITEMS           5u
#define COORD_CHANGE_ITEMS_MIN      4u
#define COORD_TXN_RESULT_HEAD_ITEMS 2u
#define COORD_ERROR_ITEMS_MIN       1u /* the text alone */

/* Room for `more` bytes behind those set; *b may be NULL and may move.
 * Return: 0, or COORD_ENOMEM with *b as it was. Thread: the owner of the unshared buffer. */
int coord__buf_reserve(struct coord_buf **b, size_t more);

#endif
