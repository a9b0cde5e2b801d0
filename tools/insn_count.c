/* A plugin for qemu-user: how many instructions a program has executed, written down wherever it asks.
 *
 *   qemu-aarch64 -plugin file=libinsn_count.so,out=FILE PROGRAM
 *
 * FILE gets one decimal number a line: the count at each getpgid(2) of the program, a call that nothing else in a
 * Python program makes (os.getpgid(0)), and a last one at its end. A block is counted when it is entered, and a system
 * call ends its block, so the number is exact where one thread runs.
 *
 * Debian ships qemu with the interface (version 1: QEMU 4.2 to 8.x) and without its header; what is used of it stands
 * here. Source: QEMU, include/qemu/qemu-plugin.h.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define AARCH64_GETPGID 155 /* Linux, include/uapi/asm-generic/unistd.h */

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *, uint64_t);
extern void qemu_plugin_register_vcpu_syscall_cb(
    qemu_plugin_id_t,
    void (*)(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
             uint64_t));
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t count;
static FILE *out;

static void say(void) {
  fprintf(out, "%" PRIu64 "\n", count);
  fflush(out);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &count, qemu_plugin_tb_n_insns(block));
}

static void called(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                   uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
  (void)id, (void)cpu, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
  if (number == AARCH64_GETPGID) say();
}

static void ended(qemu_plugin_id_t id, void *nothing) {
  (void)id, (void)nothing;
  say();
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                                               char **argv) {
  (void)info;
  for (int at = 0; at < argc; at++)
    if (!strncmp(argv[at], "out=", 4)) out = fopen(argv[at] + 4, "w");
  if (!out) {
    fprintf(stderr, "insn_count: say out=FILE, a file that can be written\n");
    return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_vcpu_syscall_cb(id, called);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
