// The module voxlogica.kernels._fields: kernels on numeric fields, as fields.py calls them.
//
// Results are written into arrays that the caller made. Shapes are checked here, where a wrong one would be a wild
// pointer; what the user reads about dtypes, ranks and values is said in fields.py.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <utility>

#include "include/bits.hpp"
#include "include/convert.hpp"
#include "include/correlation.hpp"
#include "include/distance.hpp"
#include "include/numbers.hpp"
#include "include/otsu.hpp"
#include "include/percentiles.hpp"
#include "include/pointwise.hpp"

namespace nb = nanobind;
using namespace voxlogica;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

using FieldOut = Array<float>;
using Words = Array<const Word>;
using Unlocked = nb::gil_scoped_release;

template <class A>
Grid grid_of(const A& field, const Words& words) {
    const Grid grid(field.shape(0), field.shape(1), field.shape(2));
    if (grid.nx == 0 || grid.rows() == 0) throw std::invalid_argument("a field has at least one voxel along each axis");
    if (words.shape(0) != grid.nz || words.shape(1) != grid.ny || words.shape(2) != grid.nw) {
        throw std::invalid_argument("the mask is not of the shape of the field");
    }
    return grid;
}

template <class A, class B>
void same_shape(const A& a, const B& b) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
        if (a.shape(axis) != b.shape(axis)) throw std::invalid_argument("shapes differ");
    }
}

/// Whether the bits past nx are zero in all rows.
bool bind_ends_in_zeros(Words words, std::size_t nx) {
    const Grid grid(words.shape(0), words.shape(1), nx);
    if (nx == 0 || words.shape(2) != grid.nw) throw std::invalid_argument("the mask has other rows");
    const Unlocked unlocked;
    Word beyond = 0;
    for (std::size_t row = 0; row < grid.rows(); ++row) beyond |= words.data()[(row + 1) * grid.nw - 1] & ~grid.tail();
    return beyond == 0;
}

void bind_masked(Numbers field, Words words, int threads, FieldOut out) {
    const Grid grid = grid_of(field, words);
    same_shape(field, out);
    const Voxels voxels = voxels_of(field);
    const Unlocked unlocked;
    masked(voxels, words.data(), grid, threads, out.data());
}

void bind_luminance(nb::ndarray<const float, nb::ndim<4>, nb::c_contig, nb::device::cpu> components, int threads,
                    FieldOut out) {
    const std::size_t step = components.shape(3), n = out.size();
    if (step < 3 || components.size() != n * step) throw std::invalid_argument("shapes differ");
    const Unlocked unlocked;
    parallel_chunks(n, 65536, threads, [&](std::size_t begin, std::size_t end) {
        luminance(components.data() + begin * step, step, end - begin, out.data() + begin);
    });
}

/// How many voxels, the least and the largest, whether one is a NaN.
using Met = std::tuple<std::uint64_t, float, float, bool>;

Met told(const Survey& met) { return {met.count, of_order_key(met.low), of_order_key(met.high), met.has_nan()}; }

Met bind_extremes(Numbers field, std::optional<Words> words) {
    const Voxels voxels = voxels_of(field);
    Survey met;
    if (!words) {
        const std::size_t size = field.size();
        const Unlocked unlocked;
        for_parts(voxels, 0, size, [&](std::size_t, const float* part, std::size_t n) { widen(part, n, met); });
        return told(met);
    }
    const Grid grid = grid_of(field, *words);
    const Unlocked unlocked;
    return told(extremes(voxels, words->data(), grid));
}

std::tuple<Met, double> bind_summary(Numbers field, Words words) {
    const Grid grid = grid_of(field, words);
    const Voxels voxels = voxels_of(field);
    const Unlocked unlocked;
    Survey met;
    const double sum = extremes_and_sum(voxels, words.data(), grid, met);
    return {told(met), sum};
}

double bind_sum(Numbers field, Words words) {
    const Grid grid = grid_of(field, words);
    const Voxels voxels = voxels_of(field);
    const Unlocked unlocked;
    return sum(voxels, words.data(), grid);
}

void bind_distance(Words mask, Words contour, std::array<double, 3> spacing, int threads, FieldOut out) {
    const Grid grid = grid_of(out, mask);
    same_shape(mask, contour);
    const Unlocked unlocked;
    distance(mask.data(), contour.data(), grid, spacing, threads, out.data());
}

bool bind_percentiles(Numbers field, Words words, double weight, int threads, FieldOut out) {
    const Grid grid = grid_of(field, words);
    same_shape(field, out);
    const Voxels voxels = voxels_of(field);
    const Unlocked unlocked;
    return percentiles(voxels, words.data(), grid, static_cast<float>(weight), threads, out.data());
}

/// One float for each integer of the field's kind, along x.
using Table = Array<float>;

Voxels integers_with(const Numbers& field, const Table& table) {
    const Voxels voxels = voxels_of(field);
    if (voxels.kind == Kind::f4 || table.size() != range_of(voxels.kind)) {
        throw std::invalid_argument("a table has an entry for each integer of one or two bytes");
    }
    return voxels;
}

void bind_rank_table(Numbers field, Words words, double weight, Table out) {
    const Grid grid = grid_of(field, words);
    const Voxels voxels = integers_with(field, out);
    const Unlocked unlocked;
    const auto [low, range] = std::pair(least_of(voxels.kind), range_of(voxels.kind));
    rank_table(voxels, words.data(), grid, low, range, static_cast<float>(weight), out.data());
}

void bind_ranked(Numbers field, Words words, Table table, FieldOut out) {
    const Grid grid = grid_of(field, words);
    same_shape(field, out);
    const Voxels voxels = integers_with(field, table);
    const Unlocked unlocked;
    rank_by_table(voxels, words.data(), grid, least_of(voxels.kind), table.data(), 1, out.data());
}

void bind_correlation(Numbers a, Numbers b, Words phi, std::array<std::size_t, 3> radius, double low, double high,
                      std::int32_t bins, int threads, FieldOut out) {
    const Grid grid = grid_of(a, phi);
    same_shape(a, b);
    same_shape(a, out);
    if (bins < 1) throw std::invalid_argument("there is at least one bin");
    if (grid.rows() > 0xffffffffU / grid.nx) throw std::invalid_argument("more than 2^32 - 1 voxels");
    const Voxels of_a = voxels_of(a), of_b = voxels_of(b);
    const Unlocked unlocked;
    correlation(of_a, of_b, phi.data(), grid, {radius[0], radius[1], radius[2]}, Bins(low, high, bins), threads,
                out.data());
}

using Windows = Array<const std::uint32_t>;
using Place = std::array<std::size_t, 3>;

Radius narrow(const Grid& grid, const Place& wanted, std::int32_t bins) {
    const Radius radius = cut_to(grid, {wanted[0], wanted[1], wanted[2]});
    const bool few = window_size(radius) < narrow_window;
    if (!few || bins < 1 || static_cast<std::size_t>(bins) > most_binned) throw std::invalid_argument("windows too large");
    return radius;
}

/// The box of this shape at a place (z, y, x) of a grid.
template <class A>
Box box_of(const A& windows, const Place& at, const Grid& grid) {
    const Place sizes{grid.nz, grid.ny, grid.nx};
    for (std::size_t axis = 0; axis < 3; ++axis) {
        const std::size_t size = windows.shape(axis);
        if (size == 0 || size > sizes[axis] || at[axis] > sizes[axis] - size) throw std::invalid_argument("not within the field");
    }
    return {at[0], at[0] + windows.shape(0), at[1], at[1] + windows.shape(1), at[2], at[2] + windows.shape(2)};
}

Grid grid_of(const Numbers& field) {
    const Grid grid(field.shape(0), field.shape(1), field.shape(2));
    if (grid.nx == 0 || grid.rows() == 0) throw std::invalid_argument("a field has at least one voxel along each axis");
    return grid;
}

using Sizes = std::tuple<std::size_t, std::size_t, std::size_t>;

/// Where the box begins, and its shape.
std::tuple<Sizes, Sizes> bind_window_box(Numbers field, Place radius, double low, double high, std::int32_t bins, int threads) {
    const Grid grid = grid_of(field);
    const Radius cut = narrow(grid, radius, bins);
    const Voxels voxels = voxels_of(field);
    const Unlocked unlocked;
    const Box box = window_box(voxels, grid, cut, Bins(low, high, bins), threads);
    return {{box.z0, box.y0, box.x0}, {box.z1 - box.z0, box.y1 - box.y0, box.x1 - box.x0}};
}

void bind_windows(Numbers field, Place radius, double low, double high, std::int32_t bins, Place at, int threads,
                  Array<std::uint32_t> out) {
    const Grid grid = grid_of(field);
    const Radius cut = narrow(grid, radius, bins);
    const Box box = box_of(out, at, grid);
    const Voxels voxels = voxels_of(field);
    const Unlocked unlocked;
    narrow_windows(voxels, grid, cut, Bins(low, high, bins), box, threads, out.data());
}

template <class Scores>
void correlate_of(const Windows& windows, const Place& at, const std::optional<Numbers>& b, const Words& phi, const Grid& grid,
                  const Place& radius, const Bins& bins, int threads, const Scores& scores) {
    if (grid.rows() > 0xffffffffU / grid.nx) throw std::invalid_argument("more than 2^32 - 1 voxels");
    const Radius cut = narrow(grid, radius, bins.count);
    const Crop<std::uint32_t> crop{windows.data(), box_of(windows, at, grid)};
    const Voxels other = b ? voxels_of(*b) : Voxels{};
    const Unlocked unlocked;
    correlate_narrow(crop, other, phi.data(), grid, cut, bins, threads, scores);
}

void bind_correlation_of(Windows windows, Place at, std::optional<Numbers> b, Words phi, Place radius, double low, double high,
                         std::int32_t bins, int threads, FieldOut out) {
    const Grid grid = grid_of(out, phi);
    if (b) same_shape(out, *b);
    correlate_of(windows, at, b, phi, grid, radius, Bins(low, high, bins), threads, ScoreImage{out.data(), grid.nx});
}

void bind_compare_correlation(Windows windows, Place at, std::optional<Numbers> b, Words phi, std::size_t nx, Place radius,
                              double low, double high, std::int32_t bins, std::string_view op, double constant, int threads,
                              Array<Word> out) {
    const Grid grid(phi.shape(0), phi.shape(1), nx);
    if (nx == 0 || grid.rows() == 0 || phi.shape(2) != grid.nw) throw std::invalid_argument("the mask has other rows");
    if (b && (b->shape(0) != grid.nz || b->shape(1) != grid.ny || b->shape(2) != nx)) throw std::invalid_argument("shapes differ");
    same_shape(phi, out);
    const KeyRange keys = keys_compared(op, static_cast<float>(constant));
    if (keys.low > keys.high) {
        std::fill_n(out.data(), grid.rows() * grid.nw, Word{0});
        return;
    }
    correlate_of(windows, at, b, phi, grid, radius, Bins(low, high, bins), threads, ScoreMask(grid, keys, out.data()));
}

float bind_otsu_threshold(Numbers field, Words words, float low, float high, std::size_t bins) {
    const Grid grid = grid_of(field, words);
    if (bins < 1) throw std::invalid_argument("there is at least one bin");
    const Voxels voxels = voxels_of(field);
    const Unlocked unlocked;
    return otsu_threshold(voxels, words.data(), grid, low, high, bins);
}

}  // namespace

NB_MODULE(_fields, m) {
    m.doc() = "Compiled kernels on numeric fields; voxlogica.kernels.fields is their face.";
    // noconvert: an array of another dtype or layout is refused, never silently copied and the copy written to.
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    m.def("ends_in_zeros", &bind_ends_in_zeros, array("words"), nb::arg("nx"));
    m.def("masked", &bind_masked, array("field"), array("words"), nb::arg("threads"), array("out"));
    m.def("luminance", &bind_luminance, array("components"), nb::arg("threads"), array("out"));
    m.def("extremes", &bind_extremes, array("field"), array("words").none());
    m.def("summary", &bind_summary, array("field"), array("words"));
    m.def("sum", &bind_sum, array("field"), array("words"));
    m.def("distance", &bind_distance, array("mask"), array("contour"), nb::arg("spacing"), nb::arg("threads"),
          array("out"));
    m.def("percentiles", &bind_percentiles, array("field"), array("words"), nb::arg("weight"), nb::arg("threads"),
          array("out"));
    m.def("rank_table", &bind_rank_table, array("field"), array("words"), nb::arg("weight"), array("out"));
    m.def("ranked", &bind_ranked, array("field"), array("words"), array("table"), array("out"));
    m.def("correlation", &bind_correlation, array("a"), array("b"), array("phi"), nb::arg("radius"), nb::arg("low"),
          nb::arg("high"), nb::arg("bins"), nb::arg("threads"), array("out"));
    m.def("window_box", &bind_window_box, array("field"), nb::arg("radius"), nb::arg("low"), nb::arg("high"), nb::arg("bins"),
          nb::arg("threads"));
    m.def("windows", &bind_windows, array("field"), nb::arg("radius"), nb::arg("low"), nb::arg("high"), nb::arg("bins"),
          nb::arg("at"), nb::arg("threads"), array("out"));
    m.def("correlation_of", &bind_correlation_of, array("windows"), nb::arg("at"), array("b").none(), array("phi"),
          nb::arg("radius"), nb::arg("low"), nb::arg("high"), nb::arg("bins"), nb::arg("threads"), array("out"));
    m.def("compare_correlation", &bind_compare_correlation, array("windows"), nb::arg("at"), array("b").none(), array("phi"),
          nb::arg("nx"), nb::arg("radius"), nb::arg("low"), nb::arg("high"), nb::arg("bins"), nb::arg("op"), nb::arg("constant"),
          nb::arg("threads"), array("out"));
    m.def("otsu_threshold", &bind_otsu_threshold, array("field"), array("words"), nb::arg("low"), nb::arg("high"),
          nb::arg("bins"));
}
