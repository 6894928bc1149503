// How the process's allocator treats the large arrays that kernels make and drop.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>  // says which C library it is

#if defined(__GLIBC__)
#include <malloc.h>
#include <unistd.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace voxlogica {

/// Ask for pages of two megabytes for memory that will be written: a page fault for each of them, not for each four
/// thousand bytes. Where the system has none, nothing is lost.
inline void ask_for_large_pages(void* memory, std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t page = std::uintptr_t{1} << 21;
    const auto begin = reinterpret_cast<std::uintptr_t>(memory);
    const auto from = (begin + page - 1) & ~(page - 1), to = (begin + bytes) & ~(page - 1);
    if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#endif
}

#if defined(__GLIBC__) && defined(MADV_HUGEPAGE)
/// Let the heap grow by so many bytes at once, addresses only, and ask for large pages there.
inline void grow_in_large_pages(std::size_t bytes) {
    constexpr std::size_t usual = 128 << 10, enough_to_grow = 1 << 21;
    auto* before = static_cast<char*>(sbrk(0));
    if (mallopt(M_TOP_PAD, static_cast<int>(bytes)) == 0) return;
    void* volatile grow = std::malloc(enough_to_grow);  // volatile: what is freed at once would not be allocated
    std::free(grow);
    mallopt(M_TOP_PAD, usual);
    ask_for_large_pages(before, static_cast<std::size_t>(static_cast<char*>(sbrk(0)) - before));
}
#else
inline void grow_in_large_pages(std::size_t) {}
#endif

/// Keep what is freed for the next array; false where the C library is not glibc.
///
/// By default glibc maps each large array anew, and the system zeroes its pages one by one as they are touched: a third
/// of the time of a short run. All threads share one heap from now on.
inline bool keep_freed_memory() {
#if defined(__GLIBC__)
    static const bool kept = [] {
        constexpr int always = 0x7fffffff;
        if (mallopt(M_ARENA_MAX, 1) == 0 || mallopt(M_MMAP_MAX, 0) == 0 || mallopt(M_TRIM_THRESHOLD, always) == 0) return false;
        grow_in_large_pages(std::size_t{192} << 20);  // as much as a case with a head's images takes
        return true;
    }();
    return kept;
#else
    return false;
#endif
}

}  // namespace voxlogica
