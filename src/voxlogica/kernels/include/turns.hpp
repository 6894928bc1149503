// How long this process computes before the system lets another one compute.

#pragma once

#include <cstdint>

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace voxlogica {

/// Ask for turns of so many milliseconds for this thread and those it will start; false where the system has no such
/// thing. Linux has it since 6.12, takes 0.1 to 100 ms, and lets who asks for short turns go first (EEVDF: Stoica,
/// Abdel-Wahab, "Earliest eligible virtual deadline first", 1995). Older ones take the call and do nothing.
inline bool long_turns(std::uint64_t milliseconds) {
#if defined(__linux__) && defined(SYS_sched_setattr)
    struct {  // sched_attr of the system's headers, which not all C libraries have
        std::uint32_t size, policy;
        std::uint64_t flags;
        std::int32_t nice;
        std::uint32_t priority;
        std::uint64_t runtime, deadline, period;
    } wanted{};
    if (syscall(SYS_sched_getattr, 0, &wanted, sizeof wanted, 0) != 0) return false;
    if (wanted.policy != SCHED_OTHER && wanted.policy != SCHED_BATCH) return false;  // somebody knows better
    wanted.runtime = milliseconds * 1'000'000;
    return syscall(SYS_sched_setattr, 0, &wanted, 0) == 0;
#else
    return milliseconds == 0;
#endif
}

}  // namespace voxlogica
