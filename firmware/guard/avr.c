/* The guard's pins, line, clock and watchdog on an ATmega328P at 8 MHz and 3.3 V.
 *
 *   PD0 RXD  from the Pi's TXD       PD4  gate of the bolt's MOSFET (pull-down beside it)
 *   PD1 TXD  to the Pi's RXD         PD5  the MOSFET's drain through a divider: low = the coil has power
 *
 * One loop turns once a millisecond and whenever a byte has come; it feeds the watchdog, the interrupts do not.
 * So a loop that hangs is reset, and a reset lets go of the gate. */
#include <avr/eeprom.h>
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#include "guard.h"

#define BAUD 38400UL
#define GATE _BV(PD4)
#define DRAIN _BV(PD5)
#define RING_BYTES 64U /* a power of two, longer than three commands */
#define POWER_ONS_BYTES 3U
#define MOST_WARM 0xFFU

static struct guard guard;
static struct guard_kept kept __attribute__((section(".noinit")));
static uint8_t EEMEM stored_power_ons[POWER_ONS_BYTES];

static volatile uint8_t elapsed_ms;
static volatile uint8_t ring[RING_BYTES];
static volatile uint8_t ring_head;
static volatile uint8_t ring_tail;
static uint8_t reply[GUARD_REPLY_BYTES];
static volatile uint8_t reply_at = GUARD_REPLY_BYTES;

ISR(TIMER0_COMPA_vect) {
    if (elapsed_ms != UINT8_MAX) {
        elapsed_ms++;
    }
}

ISR(USART_RX_vect) {
    uint8_t byte = UDR0;
    uint8_t next = (ring_head + 1U) & (RING_BYTES - 1U);
    if (next != ring_tail) { /* a byte too many is lost, and with it its frame */
        ring[ring_head] = byte;
        ring_head = next;
    }
}

ISR(USART_UDRE_vect) {
    UDR0 = reply[reply_at];
    if (++reply_at == GUARD_REPLY_BYTES) {
        UCSR0B &= (uint8_t)~_BV(UDRIE0);
    }
}

static void drive(void) {
    if (guard_gate(&guard)) {
        PORTD |= GATE;
    } else {
        PORTD &= (uint8_t)~GATE;
    }
}

/* Count one more power-on, most significant byte first: a count torn by a power cut is higher, never one used before. */
static uint32_t count_power_on(void) {
    uint32_t count = 0;
    for (uint8_t at = 0; at < POWER_ONS_BYTES; at++) {
        count = count << 8 | eeprom_read_byte(&stored_power_ons[at]);
    }
    count = (count + 1U) & 0xFFFFFFUL; /* an erased memory begins at 0 */
    for (uint8_t at = 0; at < POWER_ONS_BYTES; at++) {
        eeprom_update_byte(&stored_power_ons[at], (uint8_t)(count >> (16U - 8U * at)));
        wdt_reset();
    }
    return count;
}

/* A nonce that no boot had before: the count of power-ons, and the resets since the last one in its lowest byte. */
static void boot(uint8_t cause) {
    uint8_t warm = (cause & _BV(PORF)) == 0U && guard_kept_valid(&kept);
    uint32_t nonce = kept.nonce + 1U;
    if (!warm || (kept.nonce & MOST_WARM) == MOST_WARM) {
        nonce = count_power_on() << 8;
    }
    guard_boot(&guard, nonce, warm ? &kept : 0, cause);
    guard_keep(&guard, &kept);
}

static void start_peripherals(void) {
    TCCR0A = _BV(WGM01);
    TCCR0B = _BV(CS01) | _BV(CS00);
    OCR0A = F_CPU / 64UL / 1000UL - 1UL;
    TIMSK0 = _BV(OCIE0A);
    UCSR0A = _BV(U2X0);
    UBRR0 = (F_CPU + 4UL * BAUD) / (8UL * BAUD) - 1UL;
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
    UCSR0B = _BV(RXCIE0) | _BV(RXEN0) | _BV(TXEN0);
}

static uint8_t take_elapsed_ms(void) {
    cli();
    uint8_t taken = elapsed_ms;
    elapsed_ms = 0;
    sei();
    return taken;
}

static void begin_reply(void) {
    if (reply_at == GUARD_REPLY_BYTES && guard_answer(&guard, reply)) {
        reply_at = 0;
        UCSR0B |= _BV(UDRIE0);
    }
}

static void turn(void) {
    while (ring_tail != ring_head) {
        guard_receive(&guard, ring[ring_tail]);
        ring_tail = (ring_tail + 1U) & (RING_BYTES - 1U);
        drive();
    }
    uint8_t passed_ms = take_elapsed_ms();
    if (passed_ms != 0U) {
        wdt_reset();
        guard_pass(&guard, passed_ms, (PIND & DRAIN) == 0U);
        drive();
        guard_keep(&guard, &kept);
        begin_reply(); /* after the coil was measured, so that a reply tells what a command came to */
    }
}

int main(void) {
    PORTD &= (uint8_t)~GATE;
    DDRD |= GATE;
    wdt_enable(WDTO_120MS);
    uint8_t cause = MCUSR & (_BV(PORF) | _BV(EXTRF) | _BV(BORF) | _BV(WDRF));
    MCUSR = 0;
    boot(cause);
    start_peripherals();
    set_sleep_mode(SLEEP_MODE_IDLE);
    sei();
    for (;;) {
        sleep_mode();
        turn();
    }
}
