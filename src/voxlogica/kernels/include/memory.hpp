// How the process's allocator treats the large arrays that kernels make and drop.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#include <sys/mman.h>
#endif

namespace voxlogica {

/// Keep what is freed for the next array, and have the first `bytes` of it in huge pages; false where neither is known.
///
/// By default glibc maps each large array anew, and the system zeroes its pages one by one as they are touched: a third
/// of the time of a short run. All threads share one heap from now on. Nothing is touched, so nothing is used yet.
inline bool keep_freed_memory(std::size_t bytes) {
#if defined(__GLIBC__)
    constexpr int always = 0x7fffffff;
    if (mallopt(M_ARENA_MAX, 1) == 0 || mallopt(M_MMAP_MAX, 0) == 0 || mallopt(M_TRIM_THRESHOLD, always) == 0) return false;
    void* const reserved = std::malloc(bytes);
    if (reserved == nullptr) return false;
    constexpr std::uintptr_t page = std::uintptr_t{1} << 21;
    const auto begin = (reinterpret_cast<std::uintptr_t>(reserved) + page - 1) & ~(page - 1);
    const auto end = (reinterpret_cast<std::uintptr_t>(reserved) + bytes) & ~(page - 1);
    std::free(reserved);
    // The range stays the heap's, being below the threshold for trimming. A kernel without huge pages refuses: no harm.
    return begin < end && madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE) == 0;
#else
    return bytes == 0;
#endif
}

}  // namespace voxlogica
