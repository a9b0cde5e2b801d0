/* The guard with an ideal or a faulty coil around it, for tests on a PC that load it as a shared library. */
#include "guard.h"

#include <stddef.h>

size_t host_guard_bytes(void) { return sizeof(struct guard); }

size_t host_kept_bytes(void) { return sizeof(struct guard_kept); }

/* Live a while, a millisecond at a time; return how many of them the gate was driven.
 * `wrong` is 0 for a coil that follows the gate, 1 for one that has power always. */
uint32_t host_live(struct guard *g, uint32_t ms, uint8_t wrong) {
    uint32_t on = 0;
    while (ms-- != 0U) {
        on += guard_gate(g);
        guard_pass(g, 1, (uint8_t)(guard_gate(g) || wrong));
    }
    return on;
}

void host_receive(struct guard *g, const uint8_t *bytes, size_t count) {
    for (size_t at = 0; at < count; at++) {
        guard_receive(g, bytes[at]);
    }
}

uint32_t host_heat(const struct guard *g) { return g->heat; }
