// Work divided over threads by dynamic chunks. Nothing here knows what is computed.
//
// Promises: `body` is called for disjoint ranges that cover [0, items) exactly once; with one thread, in order
// and on the calling thread. A kernel is deterministic when each range writes only what belongs to it, and reads
// nothing that another range writes: then neither the number of threads nor the chunks can be seen in the result.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace voxlogica {

/// Call body(begin, end) over [0, items), in chunks of `grain` items taken dynamically by at most `threads` threads.
///
/// Chunks are dynamic because fixed halves wait for the slower core when a neighbour is busy. The calling thread is
/// one of the workers. The first exception stops the handing out of chunks and is thrown again here.
template <class Body>
void parallel_chunks(std::size_t items, std::size_t grain, int threads, const Body& body) {
    grain = std::max<std::size_t>(grain, 1);
    const std::size_t chunks = items / grain + (items % grain != 0);
    const std::size_t workers = std::min<std::size_t>(static_cast<std::size_t>(std::max(threads, 1)), chunks);
    if (workers <= 1) {
        if (items > 0) body(std::size_t{0}, items);
        return;
    }

    std::atomic<std::size_t> next{0};
    std::exception_ptr failure;
    std::mutex failure_lock;
    const auto work = [&] {
        try {
            for (std::size_t chunk; (chunk = next.fetch_add(1, std::memory_order_relaxed)) < chunks;) {
                const std::size_t begin = chunk * grain;
                body(begin, begin + std::min(grain, items - begin));
            }
        } catch (...) {
            const std::lock_guard guard(failure_lock);
            if (!failure) failure = std::current_exception();
            next.store(chunks, std::memory_order_relaxed);
        }
    };

    std::vector<std::thread> helpers;
    helpers.reserve(workers - 1);
    try {
        while (helpers.size() + 1 < workers) helpers.emplace_back(work);
    } catch (const std::system_error&) {
        // The machine has no thread left: those that started, and this one, do the whole work.
    } catch (const std::bad_alloc&) {
        // Nor memory for one: the same.
    }
    work();
    for (std::thread& helper : helpers) helper.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace voxlogica
