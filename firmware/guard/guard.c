/* See guard.h. Every sum of times saturates; every product fits 32 bits (checked below). */
#include "guard.h"

/* Heat is counted so that both directions are whole numbers: with power it grows by WARM a millisecond, without it
 * shrinks by COOL. At a share of COOL / 1000 with power it stays where it is, as in edge/coil.py. */
#define WARM ((uint32_t)(1000U - GUARD_DUTY_PERMILLE))
#define COOL ((uint32_t)GUARD_DUTY_PERMILLE)
#define BUDGET ((uint32_t)GUARD_BUDGET_MS * WARM)
#define RESUME (BUDGET / 100U * GUARD_RESUME_PERCENT)
#define MOST_HEAT (2U * BUDGET) /* a coil that has power against the guard's will is not counted for ever */
#define STORES_HEAT (GUARD_DUTY_PERMILLE < 1000U)

_Static_assert(GUARD_DUTY_PERMILLE >= 1U && GUARD_DUTY_PERMILLE <= 1000U, "duty is a share of 1000");
_Static_assert(GUARD_BUDGET_MS >= 1000UL && GUARD_BUDGET_MS <= 2000000UL, "twice the budget and 65535 ms of heat fit");
_Static_assert(GUARD_LONGEST_LEASE_MS <= GUARD_CAP_MS, "a lease is never longer than the cap");

/* Where the fields are; docs/guard-protocol.md has the same numbers, and a test compares them. */
enum { AT_START = 0, AT_COMMAND = 1, AT_NONCE = 2, AT_SEQUENCE = 6, AT_HEARD = 10, AT_LEASE = 14, AT_CRC = 16 };
enum {
    AT_CLOCK = 10,
    AT_STATE = 14,
    AT_ANSWER = 15,
    AT_LEASE_LEFT = 16,
    AT_HEAT = 18,
    AT_RESET = 22,
    AT_PROTOCOL = 23,
    AT_FIRMWARE = 24,
    AT_PROFILE = 25,
    AT_CAP = 26,
    AT_REST = 30,
    AT_BUDGET = 32,
    AT_DUTY = 36,
    AT_REPLY_CRC = 38
};

static uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] | (uint16_t)at[1] << 8); }

static uint32_t get32(const uint8_t *at) { return get16(at) | (uint32_t)get16(at + 2) << 16; }

static void put16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value) {
    put16(at, (uint16_t)value);
    put16(at + 2, (uint16_t)(value >> 16));
}

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

uint16_t guard_crc(const uint8_t *bytes, uint8_t count) {
    uint16_t crc = 0xFFFFU;
    while (count-- != 0U) {
        crc ^= (uint16_t)(*bytes++ << 8);
        for (uint8_t bit = 0; bit < 8U; bit++) {
            crc = (uint16_t)((uint16_t)(crc << 1) ^ ((crc & 0x8000U) != 0U ? 0x1021U : 0U));
        }
    }
    return crc;
}

/* --- what outlives a reset ------------------------------------------------------------------------------------- */

/* Neither all zeros nor all ones passes; a memory full of noise does once in 2^32 times. */
static uint32_t kept_check(const struct guard_kept *kept) { return kept->nonce ^ kept->heat ^ 0x5A17C0DEUL; }

uint8_t guard_kept_valid(const struct guard_kept *kept) { return kept->check == kept_check(kept); }

void guard_keep(const struct guard *g, struct guard_kept *kept) {
    kept->nonce = g->nonce;
    kept->heat = g->heat;
    kept->check = kept_check(kept);
}

static void follow_heat(struct guard *g) {
    if (STORES_HEAT && g->heat > BUDGET - WARM) {
        g->cooling = 1;
    } else if (g->heat <= RESUME) {
        g->cooling = 0;
    }
}

void guard_boot(struct guard *g, uint32_t nonce, const struct guard_kept *kept, uint8_t reset) {
    *g = (struct guard){0};
    g->nonce = nonce;
    g->heat = kept != 0 ? kept->heat : BUDGET;
    g->on_ms = GUARD_CAP_MS; /* how long the coil had power before is not known: it rests first */
    g->reset = reset;
    g->pending = 1;
    g->command = GUARD_BOOT;
    follow_heat(g);
}

/* --- time ------------------------------------------------------------------------------------------------------ */

static void with_power(struct guard *g, uint16_t ms) {
    g->on_ms = smaller(g->on_ms + ms, GUARD_CAP_MS);
    g->off_ms = 0;
    g->heat = smaller(g->heat + ms * WARM, MOST_HEAT);
}

static void without_power(struct guard *g, uint16_t ms) {
    g->off_ms = (uint16_t)smaller((uint32_t)g->off_ms + ms, GUARD_REST_MS);
    if (g->off_ms == GUARD_REST_MS) {
        g->on_ms = 0;
    }
    g->heat -= smaller(g->heat, ms * COOL);
}

void guard_pass(struct guard *g, uint16_t elapsed_ms, uint8_t coil) {
    uint16_t on_ms = (uint16_t)smaller(elapsed_ms, g->lease_ms);
    g->clock_ms += elapsed_ms;
    g->coil = coil;
    if (on_ms != 0U) {
        g->lease_ms -= on_ms;
        with_power(g, on_ms);
    }
    if (elapsed_ms != on_ms) {
        if (coil) { /* power against the guard's will heats as well as any other */
            with_power(g, elapsed_ms - on_ms);
        } else {
            without_power(g, elapsed_ms - on_ms);
        }
    }
    follow_heat(g);
}

uint8_t guard_gate(const struct guard *g) { return g->lease_ms != 0U; }

/* --- commands -------------------------------------------------------------------------------------------------- */

static uint8_t credentials(const struct guard *g) {
    if (get32(g->frame + AT_NONCE) != g->nonce) {
        return GUARD_NONCE;
    }
    if (get32(g->frame + AT_SEQUENCE) <= g->sequence) {
        return GUARD_SEQUENCE;
    }
    /* In 32 bits, so that the clock's wrap is none and a reading from the future is very old. */
    return (uint32_t)(g->clock_ms - get32(g->frame + AT_HEARD)) > GUARD_FRESH_MS ? GUARD_STALE : GUARD_DONE;
}

static uint32_t heat_left_ms(const struct guard *g) {
#if STORES_HEAT
    return g->heat >= BUDGET ? 0 : (BUDGET - g->heat) / WARM;
#else
    (void)g;
    return GUARD_LONGEST_LEASE_MS;
#endif
}

static uint8_t energise(struct guard *g, uint16_t lease_ms) {
    g->lease_ms = 0; /* whatever is refused below ends what was granted before */
    if (lease_ms == 0U) {
        return GUARD_NO_LEASE;
    }
    if (g->on_ms >= GUARD_CAP_MS) {
        return GUARD_CAP;
    }
    if (g->cooling) {
        return GUARD_HEAT;
    }
    uint32_t most_ms = smaller(GUARD_LONGEST_LEASE_MS, smaller(GUARD_CAP_MS - g->on_ms, heat_left_ms(g)));
    g->lease_ms = (uint16_t)smaller(lease_ms, most_ms);
    return GUARD_DONE;
}

static uint8_t obey(struct guard *g) {
    if (g->command == GUARD_HELLO) {
        return GUARD_DONE;
    }
    if (g->command != GUARD_REST && g->command != GUARD_ENERGISE) {
        return GUARD_UNKNOWN;
    }
    if (g->command == GUARD_REST) {
        g->lease_ms = 0; /* rest needs no proof */
    }
    uint8_t answer = credentials(g);
    if (answer != GUARD_DONE) {
        return answer;
    }
    g->sequence = get32(g->frame + AT_SEQUENCE);
    return g->command == GUARD_REST ? GUARD_DONE : energise(g, get16(g->frame + AT_LEASE));
}

/* Drop the first byte, and with it everything before the next that may begin a frame. */
static void seek_start(struct guard *g) {
    uint8_t from = 1;
    while (from < g->have && g->frame[from] != GUARD_COMMAND_START) {
        from++;
    }
    g->have -= from;
    for (uint8_t at = 0; at < g->have; at++) {
        g->frame[at] = g->frame[at + from];
    }
}

void guard_receive(struct guard *g, uint8_t byte) {
    g->frame[g->have++] = byte;
    if (g->frame[AT_START] != GUARD_COMMAND_START) {
        g->have = 0;
    } else if (g->have == GUARD_COMMAND_BYTES) {
        if (guard_crc(g->frame, AT_CRC) != get16(g->frame + AT_CRC)) {
            seek_start(g);
            return;
        }
        g->command = g->frame[AT_COMMAND];
        g->answer = obey(g);
        g->pending = 1;
        g->have = 0;
    }
}

/* --- replies --------------------------------------------------------------------------------------------------- */

static uint8_t state(const struct guard *g) {
    return (uint8_t)((guard_gate(g) ? GUARD_STATE_GATE : 0) | (g->coil ? GUARD_STATE_COIL : 0) |
                     (g->cooling ? GUARD_STATE_COOLING : 0));
}

static uint32_t heat_ms(const struct guard *g) {
#if STORES_HEAT
    return g->heat / WARM;
#else
    (void)g;
    return 0;
#endif
}

uint8_t guard_answer(struct guard *g, uint8_t reply[GUARD_REPLY_BYTES]) {
    if (!g->pending) {
        return 0;
    }
    g->pending = 0;
    reply[AT_START] = GUARD_REPLY_START;
    reply[AT_COMMAND] = g->command;
    put32(reply + AT_NONCE, g->nonce);
    put32(reply + AT_SEQUENCE, g->sequence);
    put32(reply + AT_CLOCK, g->clock_ms);
    reply[AT_STATE] = state(g);
    reply[AT_ANSWER] = g->answer;
    put16(reply + AT_LEASE_LEFT, g->lease_ms);
    put32(reply + AT_HEAT, heat_ms(g));
    reply[AT_RESET] = g->reset;
    reply[AT_PROTOCOL] = GUARD_PROTOCOL;
    reply[AT_FIRMWARE] = GUARD_FIRMWARE;
    reply[AT_PROFILE] = GUARD_PROFILE;
    put32(reply + AT_CAP, GUARD_CAP_MS);
    put16(reply + AT_REST, GUARD_REST_MS);
    put32(reply + AT_BUDGET, GUARD_BUDGET_MS);
    put16(reply + AT_DUTY, GUARD_DUTY_PERMILLE);
    put16(reply + AT_REPLY_CRC, guard_crc(reply, AT_REPLY_CRC));
    return 1;
}
