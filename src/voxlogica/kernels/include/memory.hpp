// How the process's allocator treats the large arrays that kernels make and drop.

#pragma once

#include <cstdlib>  // says which C library it is

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace voxlogica {

/// Keep what is freed for the next array; false where the C library is not glibc.
///
/// By default glibc maps each large array anew, and the system zeroes its pages one by one as they are touched: a third
/// of the time of a short run. All threads share one heap from now on.
inline bool keep_freed_memory() {
#if defined(__GLIBC__)
    constexpr int always = 0x7fffffff;
    return mallopt(M_ARENA_MAX, 1) != 0 && mallopt(M_MMAP_MAX, 0) != 0 && mallopt(M_TRIM_THRESHOLD, always) != 0;
#else
    return false;
#endif
}

}  // namespace voxlogica
