/* What one coil may be asked to do, fixed when the guard is built: make PROFILE=1 or 2.
 *
 * The values are those of [lock] in the flap's configuration, in milliseconds and thousandths; the host refuses a guard
 * whose limits are not the ones it was told. A coil that is neither of these gets a profile of its own here. */
#ifndef LIMITS_H
#define LIMITS_H

#ifndef GUARD_PROFILE
#define GUARD_PROFILE 1
#endif

#if GUARD_PROFILE == 1 /* the defaults of [lock]: a pull solenoid made for a share of 20 % with power */
#define GUARD_CAP_MS 8000UL        /* lock.max_on_s */
#define GUARD_REST_MS 1000U        /* lock.min_rest_s */
#define GUARD_BUDGET_MS 40000UL    /* lock.heat_budget_s */
#define GUARD_DUTY_PERMILLE 200U   /* lock.duty */
#elif GUARD_PROFILE == 2 /* a coil made for continuous power, as power_to_lock asks for: it stores no heat */
#define GUARD_CAP_MS 86400000UL
#define GUARD_REST_MS 1000U
#define GUARD_BUDGET_MS 40000UL
#define GUARD_DUTY_PERMILLE 1000U
#else
#error "GUARD_PROFILE: 1 (pull solenoid, 20 %) or 2 (continuous)"
#endif

#define GUARD_LONGEST_LEASE_MS 2000U /* the upper bound of lock.lease_s: nothing asked for holds longer */
#define GUARD_FRESH_MS 2000U         /* a command that answers a reading of the guard's clock older than this is stale */
#define GUARD_RESUME_PERCENT 80U     /* a coil that was too hot may have power again below this share of its budget */

#endif
