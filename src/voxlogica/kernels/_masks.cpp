// The module voxlogica.kernels._masks: kernels on masks as packed bits, as masks.py calls them.
//
// Results are written into arrays that the caller made. Shapes are checked here, where a wrong one would be a wild
// pointer; what the user reads about dtypes and ranks is said in masks.py.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>

#include <array>
#include <stdexcept>
#include <string_view>

#include "include/ball.hpp"
#include "include/bits.hpp"
#include "include/components.hpp"
#include "include/convert.hpp"
#include "include/logic.hpp"
#include "include/measure.hpp"
#include "include/memory.hpp"
#include "include/near.hpp"
#include "include/numbers.hpp"
#include "include/turns.hpp"

namespace nb = nanobind;
using namespace voxlogica;

namespace {

template <class T>
using Array = nb::ndarray<T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

using Words = Array<const Word>;
using WordsOut = Array<Word>;

template <class A>
Grid grid_of(const A& words, std::size_t nx) {
    const Grid grid(words.shape(0), words.shape(1), nx);
    if (nx == 0 || grid.rows() == 0) throw std::invalid_argument("a mask has at least one voxel along each axis");
    if (words.shape(2) != grid.nw) throw std::invalid_argument("the rows of words are not as long as nx voxels need");
    return grid;
}

template <class A, class B>
void same_rows(const A& a, const B& b) {
    if (a.shape(0) != b.shape(0) || a.shape(1) != b.shape(1)) throw std::invalid_argument("shapes differ");
}

template <class A, class B>
void same_shape(const A& a, const B& b) {
    same_rows(a, b);
    if (a.shape(2) != b.shape(2)) throw std::invalid_argument("shapes differ");
}

using Unlocked = nb::gil_scoped_release;

void bind_pack(Array<const std::uint8_t> voxels, int threads, WordsOut out) {
    const Grid grid = grid_of(out, voxels.shape(2));
    same_rows(voxels, out);
    const Unlocked unlocked;
    pack(voxels.data(), grid, threads, out.data());
}

void bind_unpack(Words words, int threads, Array<std::uint8_t> out) {
    const Grid grid = grid_of(words, out.shape(2));
    same_rows(words, out);
    const Unlocked unlocked;
    unpack(words.data(), grid, threads, out.data());
}

void compare_keys(const Numbers& field, KeyRange keys, int threads, WordsOut& out) {
    const Grid grid = grid_of(out, field.shape(2));
    same_rows(field, out);
    const Voxels voxels = voxels_of(field);
    const Unlocked unlocked;
    compare(voxels, grid, keys, threads, out.data());
}

void bind_compare(Numbers field, std::string_view op, double constant, int threads, WordsOut out) {
    compare_keys(field, keys_compared(op, static_cast<float>(constant)), threads, out);
}

void bind_between(Numbers field, double low, double high, int threads, WordsOut out) {
    compare_keys(field, keys_between(static_cast<float>(low), static_cast<float>(high)), threads, out);
}

std::uint64_t bind_count(Words words) {
    const Unlocked unlocked;
    return count_bits(words.data(), words.size());
}

auto bind_bounding_box(Words words, std::size_t nx) {
    const Grid grid = grid_of(words, nx);
    const Unlocked unlocked;
    return bounding_box(words.data(), grid);
}

using Kernel = void (*)(const Word*, const Grid&, int, Word*);

/// A kernel from a mask to a mask of the same shape.
template <Kernel kernel>
void bind_unary(Words words, std::size_t nx, int threads, WordsOut out) {
    const Grid grid = grid_of(words, nx);
    same_shape(words, out);
    const Unlocked unlocked;
    kernel(words.data(), grid, threads, out.data());
}

template <Combination words>
void bind_combine(Words a, Words b, int threads, WordsOut out) {
    same_shape(a, b);
    same_shape(a, out);
    const Unlocked unlocked;
    combine(a.data(), b.data(), a.size(), words, threads, out.data());
}

void bind_through(Words a, Words b, std::size_t nx, int threads, WordsOut out) {
    const Grid grid = grid_of(b, nx);
    same_shape(a, b);
    same_shape(a, out);
    const Unlocked unlocked;
    through(a.data(), b.data(), grid, threads, out.data());
}

void bind_within(Words words, std::size_t nx, std::array<double, 3> spacing, float limit, int threads, WordsOut out) {
    const Grid grid = grid_of(words, nx);
    same_shape(words, out);
    if (!(limit >= 0)) throw std::invalid_argument("a distance is not negative");
    const Unlocked unlocked;
    dilate_ball(words.data(), grid, spacing, limit, threads, out.data());
}

void bind_components(Words words, int threads, std::size_t limit, Array<float> out) {
    const Grid grid = grid_of(words, out.shape(2));
    same_rows(words, out);
    const Unlocked unlocked;
    components(words.data(), grid, threads, limit, out.data());
}

/// Python's own way to make one writes it twice: zeros first.
nb::object bind_unwritten(Py_ssize_t bytes) {
    PyObject* made = PyByteArray_FromStringAndSize(nullptr, bytes);
    if (made != nullptr) ask_for_large_pages(PyByteArray_AS_STRING(made), static_cast<std::size_t>(bytes));
    return nb::steal(made);
}

}  // namespace

NB_MODULE(_masks, m) {
    m.doc() = "Compiled kernels on masks as packed bits; voxlogica.kernels.masks is their face.";
    // noconvert: an array of another dtype or layout is refused, never silently copied and the copy written to.
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    m.def("keep_freed_memory", &keep_freed_memory);
    m.def("long_turns", &long_turns, nb::arg("milliseconds"));
    m.def("unwritten", &bind_unwritten, nb::arg("bytes"));
    m.def("pack", &bind_pack, array("voxels"), nb::arg("threads"), array("out"));
    m.def("unpack", &bind_unpack, array("words"), nb::arg("threads"), array("out"));
    m.def("compare", &bind_compare, array("field"), nb::arg("op"), nb::arg("constant"), nb::arg("threads"),
          array("out"));
    m.def("between", &bind_between, array("field"), nb::arg("low"), nb::arg("high"), nb::arg("threads"), array("out"));
    m.def("count", &bind_count, array("words"));
    m.def("bounding_box", &bind_bounding_box, array("words"), nb::arg("nx"));
    const auto combination = [&](const char* name, auto function) {
        m.def(name, function, array("a"), array("b"), nb::arg("threads"), array("out"));
    };
    combination("conjunction", &bind_combine<&and_words>);
    combination("disjunction", &bind_combine<&or_words>);
    combination("difference", &bind_combine<&and_not_words>);
    combination("exclusive", &bind_combine<&xor_words>);
    m.def("complement", &bind_unary<&complement>, array("words"), nb::arg("nx"), nb::arg("threads"), array("out"));
    m.def("near", &bind_unary<&join_box<Dilate>>, array("words"), nb::arg("nx"), nb::arg("threads"), array("out"));
    m.def("interior", &bind_unary<&join_box<Erode>>, array("words"), nb::arg("nx"), nb::arg("threads"), array("out"));
    m.def("through", &bind_through, array("a"), array("b"), nb::arg("nx"), nb::arg("threads"), array("out"));
    m.def("within", &bind_within, array("words"), nb::arg("nx"), nb::arg("spacing"), nb::arg("limit"),
          nb::arg("threads"), array("out"));
    m.def("components", &bind_components, array("words"), nb::arg("threads"), nb::arg("limit"), array("out"));
    m.def("largest", &bind_unary<&largest>, array("words"), nb::arg("nx"), nb::arg("threads"), array("out"));
}
