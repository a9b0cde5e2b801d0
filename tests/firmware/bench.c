/* Runs the guard's image in simavr: a script of events on standard input, a trace of what the chip did on standard output.
 *
 *   in   TIME_NS KIND VALUE      byte HEX: begins to arrive on the line · coil auto|on|off: what the drain shows
 *                                reset CAUSE: as if by that bit of MCUSR · hang 0: the program stops · power 0: RAM lost
 *                                end 0: the last line
 *   out  TIME_NS KIND VALUE      gate 0|1 · byte HEX: handed to the transmitter
 *
 * The gate is read where the chip drives it: a pin that is no output is low, for a resistor pulls it so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_irq.h>

enum { GATE = 4, DRAIN = 5, DDRD = 0x2A, PORTD = 0x2B, MCUSR = 0x54, RAM_FROM = 0x100, RAM_TO = 0x900 };
#define HERTZ 8000000ULL

static avr_t *avr;

static unsigned long long now_ns(void) { return avr->cycle * 1000000000ULL / HERTZ; }

static void spoken(struct avr_irq_t *irq, uint32_t value, void *unused) {
    (void)irq, (void)unused;
    printf("%llu byte %02x\n", now_ns(), value & 0xFFU);
}

static void no_sleep(avr_t *chip, avr_cycle_count_t cycles) { (void)chip, (void)cycles; }

static int gate(void) { return (avr->data[PORTD] & avr->data[DDRD]) >> GATE & 1; }

static void show_coil(const char *wrong) {
    int power = strcmp(wrong, "auto") == 0 ? gate() : strcmp(wrong, "on") == 0;
    avr_irq_t *drain = avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('D'), DRAIN);
    avr_raise_irq(drain, power); /* a level that is there already would not be taken, and a reset forgets it */
    avr_raise_irq(drain, !power);
}

static void restart(int cause, const char *wrong) {
    avr_reset(avr);
    avr->data[MCUSR] = (uint8_t)(1 << cause);
    show_coil(wrong);
}

/* A sleeping chip jumps to its next timer: this one makes it stop at the next event. */
static avr_cycle_count_t wake(avr_t *chip, avr_cycle_count_t when, void *unused) {
    (void)chip, (void)when, (void)unused;
    return 0;
}

int main(int argc, char **argv) {
    static elf_firmware_t firmware;
    if (argc != 2 || elf_read_firmware(argv[1], &firmware) != 0) {
        return 1;
    }
    avr = avr_make_mcu_by_name("atmega328p");
    avr_init(avr);
    avr->log = LOG_ERROR;
    avr->frequency = HERTZ;
    avr_load_firmware(avr, &firmware);
    avr->sleep = no_sleep;
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(uint32_t)(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_t *line = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), spoken, NULL);
    char kind[16], value[16], wrong[16] = "auto";
    restart(0, wrong);

    unsigned long long at_ns;
    uint16_t patched_at = 0, patched = 0;
    int before = -1;
    while (scanf("%llu %15s %15s", &at_ns, kind, value) == 3) {
        if (now_ns() < at_ns) {
            avr_cycle_timer_register(avr, at_ns * (HERTZ / 1000000ULL) / 1000ULL - avr->cycle, wake, NULL);
        }
        while (now_ns() < at_ns) {
            int state = avr_run(avr);
            if (state == cpu_Done || state == cpu_Crashed) {
                fprintf(stderr, "the chip stopped in state %d\n", state);
                return 2;
            }
            if (gate() != before) {
                before = gate();
                printf("%llu gate %d\n", now_ns(), before);
                show_coil(wrong);
                if (before == 0 && patched_at != 0) { /* the watchdog has acted: heal the program */
                    memcpy(avr->flash + patched_at, &patched, sizeof patched);
                    patched_at = 0;
                }
            }
        }
        if (strcmp(kind, "byte") == 0) {
            avr_raise_irq(line, (uint32_t)strtoul(value, NULL, 16));
        } else if (strcmp(kind, "coil") == 0) {
            strcpy(wrong, value);
            show_coil(wrong);
        } else if (strcmp(kind, "reset") == 0) {
            restart(atoi(value), wrong);
        } else if (strcmp(kind, "power") == 0) {
            memset(avr->data + RAM_FROM, 0xA5, RAM_TO - RAM_FROM);
            restart(0, wrong);
        } else if (strcmp(kind, "hang") == 0) {
            static const uint16_t jump_to_itself = 0xCFFF;
            patched_at = (uint16_t)avr->pc;
            memcpy(&patched, avr->flash + patched_at, sizeof patched);
            memcpy(avr->flash + patched_at, &jump_to_itself, sizeof jump_to_itself);
        } else if (strcmp(kind, "end") == 0) {
            break;
        }
    }
    return 0;
}
