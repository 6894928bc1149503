#!/bin/sh
# The kernels' tests and some fuzz, with kernels built for sanitizers in a copy of the package.
#   tests/sanitize.sh PYTHON SANITIZERS LIBRARY
set -eu
python=$1 sanitizers=$2 library=$3
build=build/sanitize-$sanitizers
cmake -S . -B "$build" -DVOXLOGICA_SANITIZE="$sanitizers" -DPython_EXECUTABLE="$(command -v "$python")" \
    -Dnanobind_DIR="$("$python" -m nanobind --cmake_dir)" > /dev/null
cmake --build "$build" --parallel 2 > /dev/null
rm -rf "$build/package"
mkdir "$build/package"
cp -R src/voxlogica "$build/package/"
rm -f "$build"/package/voxlogica/kernels/*.so
cp "$build"/_*.so "$build/package/voxlogica/kernels/"
# Python leaks by design, and is not instrumented itself. hypothesis is told to try less, since all is slow here.
export LD_PRELOAD="$(c++ -print-file-name=$library):$(c++ -print-file-name=libstdc++.so.6)"
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS="halt_on_error=1 suppressions=tests/sanitize.suppressions"
export PYTHONPATH="$build/package" OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
"$python" -c 'import voxlogica.kernels._masks as m; assert "sanitize" in m.__file__, m.__file__'
"$python" -m tests.fuzz_kernels "${FUZZ:-20000}"
"$python" -m pytest -q -p no:cacheprovider tests/test_kernels_masks.py tests/test_kernels_balls.py \
    tests/test_kernels_fields.py tests/test_kernels_narrow.py tests/test_kernels_views.py -k "not itk and not ITK"
