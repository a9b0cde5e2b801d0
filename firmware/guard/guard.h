/* The guard of the coil, as pure logic: bytes and milliseconds in, one output and bytes out.
 *
 * No heap, no waiting, no floating point, no pins: avr.c has those, host.c is for the tests.
 * The protocol is docs/guard-protocol.md. */
#ifndef GUARD_H
#define GUARD_H

#include <stdint.h>

#include "limits.h"

#define GUARD_PROTOCOL 1U
#define GUARD_FIRMWARE 1U

#define GUARD_COMMAND_BYTES 18U
#define GUARD_REPLY_BYTES 40U
#define GUARD_COMMAND_START 0xC5U
#define GUARD_REPLY_START 0x5CU

enum { GUARD_BOOT = 0, GUARD_HELLO = 1, GUARD_REST = 2, GUARD_ENERGISE = 3 };

enum {
    GUARD_DONE = 0,
    GUARD_NO_LEASE = 1, /* the command carried no time for which it holds */
    GUARD_CAP = 2,      /* the time with power is used up and the rest after it is not over; also after a boot */
    GUARD_HEAT = 3,     /* the bucket is full, or was and has not cooled enough */
    GUARD_NONCE = 4,    /* the command was meant for an earlier boot */
    GUARD_SEQUENCE = 5, /* this command, or a later one, has been taken already */
    GUARD_STALE = 6,    /* what the host last heard is too old */
    GUARD_UNKNOWN = 7   /* no such command */
};

enum { GUARD_STATE_GATE = 1, GUARD_STATE_COIL = 2, GUARD_STATE_COOLING = 4 };

/* What outlives a reset that leaves the RAM as it was. */
struct guard_kept {
    uint32_t nonce;
    uint32_t heat;
    uint32_t check;
};

struct guard {
    uint32_t nonce;    /* of this boot */
    uint32_t sequence; /* of the last command that was taken */
    uint32_t clock_ms; /* since the boot; wraps after 49 days */
    uint32_t heat;     /* in GUARD_WARM per millisecond with power */
    uint32_t on_ms;    /* with power since the last rest of GUARD_REST_MS; at most GUARD_CAP_MS */
    uint16_t off_ms;   /* without power since then; at most GUARD_REST_MS */
    uint16_t lease_ms; /* left; the gate is driven while it is not 0 */
    uint8_t coil;      /* what was measured last */
    uint8_t cooling;
    uint8_t reset; /* the cause of this boot: bit 0 power-on, 1 external, 2 brown-out, 3 watchdog */
    uint8_t pending, command, answer; /* what is owed to the host */
    uint8_t have;
    uint8_t frame[GUARD_COMMAND_BYTES];
};

/* Return whether what was kept can be trusted; else the boot is a cold one. */
uint8_t guard_kept_valid(const struct guard_kept *kept);

/* Begin, gate off. `kept` is 0 after a cold boot: what is not known counts as a full bucket. */
void guard_boot(struct guard *g, uint32_t nonce, const struct guard_kept *kept, uint8_t reset);

/* Write what is to outlive a reset. */
void guard_keep(const struct guard *g, struct guard_kept *kept);

/* Take one byte of the line. */
void guard_receive(struct guard *g, uint8_t byte);

/* Let time pass; `coil` is whether the coil is measured to have power now. */
void guard_pass(struct guard *g, uint16_t elapsed_ms, uint8_t coil);

/* Return whether the gate is to be driven. */
uint8_t guard_gate(const struct guard *g);

/* Fill in the reply that is owed and return 1, or return 0 when there is none. */
uint8_t guard_answer(struct guard *g, uint8_t reply[GUARD_REPLY_BYTES]);

/* CRC-16/IBM-3740: polynomial 0x1021, begins with 0xFFFF, not reflected. */
uint16_t guard_crc(const uint8_t *bytes, uint8_t count);

#endif
