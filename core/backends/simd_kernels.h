// The innermost loops, once per instruction set: simd_kernels.inc is compiled several times with different flags and gives one
// table each. Rule for that code: raw pointers and static functions only. An inline function of a header compiled with AVX
// flags could be the copy that the linker keeps for everybody, and would crash an older CPU.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace pinhole {

/// One gradient value and where its partner starts: an offset in floats.
struct SparseEntry {
  int32_t offset;
  float value;
};

/// Floats of memory that gemm_nn needs for its own copies.
constexpr int kSimdPack = 16384;

/// Points of Winograd's transforms (simd_winograd.h): roundings are half of what they are at 1 and 2.
constexpr float kWinogradA = 0.625F, kWinogradB = 1.5F;

struct AdamConstants {
  float beta1, beta2, keep1, keep2, step_size, inverse_root2, eps, shrink, l2;
};

struct SgdConstants {
  float lr, momentum, weight_decay;
  bool nesterov, first;
};

struct SimdKernels {
  const char* name;  // "avx2"
  int width;  // floats in a vector
  int panel;  // output channels in a full panel of packed weights; the last one is rounded up to `width`
  int rows;  // output positions of one register block

  // y[i][o] = b[o] + sum over segments s and j < length of a[i][segment[s] + j] * w[s * length + j][o], o < oc.
  // w: one panel after the other, each [segments * length][width of the panel].
  void (*conv)(int count, const float* const* a, float* const* y, int segments,
               const ptrdiff_t* segment, int length, const float* w, const float* b, int oc);
  // The same at the four positions {a, a + right, a + down, a + down + right} of each window, then ReLU and the largest.
  // Window i goes to y + i * stride and winner + i * stride. `past_cache`: y is too large to
  // be there when it is read.
  void (*conv_pool)(int count, const float* const* a, ptrdiff_t right, ptrdiff_t down, float* y,
                    uint8_t* winner, ptrdiff_t stride, int segments, const ptrdiff_t* segment,
                    int length, const float* w, const float* b, int oc, bool past_cache);
  // Winograd's F(4x4, 3x3) around products of matrices; c is a multiple of 16.
  // v[(6 * y + x) * plane + i * panel + o] = (G g G^T)[y][x] of the 3x3 taps g[r][s] = w[i * channel + o * output + (3 * r + s) * tap],
  // i < count, o < panel. count is a multiple of 16, panel of width.
  void (*winograd_weights)(int count, int panel, const float* w, ptrdiff_t channel,
                           ptrdiff_t output, ptrdiff_t tap, float* v, ptrdiff_t plane);
  // dw[(3 * r + s) * c + k] (+)= (G^T u G)[r][s] of the 6x6 values u[(6 * .. + ..) * plane + k].
  void (*winograd_taps)(int c, const float* u, ptrdiff_t plane, float* dw, bool add);
  // v[t * stride + (6 * i + j) * c + k] = (B^T d B)[i][j] of the 6x6 cells d that begin at a[t] + k, rows `row` floats apart.
  void (*winograd_input)(int count, const float* const* a, ptrdiff_t row, int c, float* v,
                         ptrdiff_t stride);
  // y[16 * t + 4 * i + j][k] = b[k] + (A^T m A)[i][j] of m[t * stride + (6 * .. + ..) * c + k].
  void (*winograd_output)(int count, const float* m, ptrdiff_t stride, int c, const float* b,
                          float* const* y);
  // The same, then ReLU and the largest of each 2x2 of them, as conv_pool: window (i, j) of a tile goes to y[4 * t + 2 * i + j] and
  // winner[4 * t + 2 * i + j].
  void (*winograd_pool)(int count, const float* m, ptrdiff_t stride, int c, const float* b,
                        float* const* y, uint8_t* const* winner, bool past_cache);
  // v[t * stride + (6 * i + j) * c + k] = (A d A^T)[i][j] of the 4x4 values d at dy[16 * t + 0 .. 15] + k, and total[k] += their sum.
  void (*winograd_gradient)(int count, const float* const* dy, int c, float* v, ptrdiff_t stride,
                            float* total);
  // y[i][k] = b[k] + sum over taps of a[i][tap[t] + k] * w[t * padded + k], k < c; padded = c rounded up to width.
  void (*depthwise)(int count, const float* const* a, float* const* y, int taps,
                    const ptrdiff_t* tap, const float* w, const float* b, int c);
  // dw[t * padded + k] += sum over i < count of x[i * x_stride + tap[t] + k] * dy[i * dy_stride + k], k < c.
  void (*depthwise_weight)(int count, const float* x, ptrdiff_t x_stride, const float* dy,
                           ptrdiff_t dy_stride, int taps, const ptrdiff_t* tap, float* dw, int c);

  // c[i][j] (+)= sum over l < k of a[i * lda + l] * b[j * ldb + l].
  void (*gemm_nt)(int m, int n, int k, const float* a, ptrdiff_t lda, const float* b, ptrdiff_t ldb,
                  float* c, ptrdiff_t ldc, bool add);
  // c[i][j] (+)= sum over l < k of a[i * a_row + l * a_column] * b[l][j], where b[l] begins at b + l / run * jump + l % run * ldb:
  // rows in runs of `run`. May read 64 bytes past a row of b. `memory`: kSimdPack floats that it may use.
  void (*gemm_nn)(int m, int n, int k, const float* a, ptrdiff_t a_row, ptrdiff_t a_column,
                  const float* b, ptrdiff_t ldb, int run, ptrdiff_t jump, float* c, ptrdiff_t ldc,
                  bool add, float* memory);

  // dw[r * padded + j] += sum over entries of value * x[offset + r * x_row + j], j < padded = length rounded up to width,
  // and *total += the values unless it is null.
  void (*sparse_weight)(int count, const SparseEntry* entries, const float* x, int rows,
                        ptrdiff_t x_row, int length, float* dw, float* total);
  // For each i < count: dx[i * c .. + c) += sum over the entries e < counts[i] of entries[i * capacity + e] of value * w[offset ..].
  // c is a multiple of width.
  void (*sparse_input)(int count, const int32_t* counts, const SparseEntry* entries,
                       ptrdiff_t capacity, const float* w, int c, float* dx);
  // For each i < count whose winner[i * stride] = q is not kNoWinner, in order: {base + i * step + corner[q], values[i * stride]}.
  // Returns how many. `entries` has room for count + 1.
  int (*list_winners)(int count, const uint8_t* winner, const float* values, ptrdiff_t stride,
                      int32_t base, int32_t step, const int32_t corner[4], SparseEntry* entries);
  // The same values by position: for q < 4, entries[q * capacity ..] = {i * step, values[i]} for the i < count with winner[i] = q;
  // counts[q] says how many. There is room for count + 1 each.
  void (*list_positions)(int count, const uint8_t* winner, const float* values, int32_t step,
                         SparseEntry* const entries[4], int32_t counts[4]);

  void (*fill)(size_t count, float value, float* y);
  void (*copy)(size_t count, const float* x, float* y);
  void (*add)(size_t count, const float* x, float* y);  // y += x
  void (*add_columns)(int rows, int columns, const float* x,
                      float* y);  // y[c] += sum of rows of x[rows, columns]
  void (*relu_forward)(size_t count, const float* x, float* y);
  void (*relu_backward)(size_t count, const float* y, const float* dy, float* dx);
  // BatchNorm2d's passes, as Backend's of these names: x, y [pixels, c]. With `relu`, x * scale + shift <= 0 lets nothing through.
  void (*norm_moments)(size_t pixels, int c, const float* x, float* mean, float* squares);
  void (*norm_forward)(bool relu, size_t pixels, int c, const float* x, const float* scale,
                       const float* shift, float* y);
  void (*norm_sums)(bool relu, size_t pixels, int c, const float* x, const float* dy,
                    const float* scale, const float* shift, const float* a, const float* b,
                    float* sum, float* dot);
  void (*norm_backward)(bool relu, size_t pixels, int c, const float* x, const float* dy,
                        const float* scale, const float* shift, const float* a, const float* b,
                        float* dx);
  // One output row of max_pool2d: `count` outputs of c channels; the window of output i starts at x + i * step and has kh rows
  // `row` floats apart, of which rows [kh_begin, kh_end) and, by output, columns [kw_begin[i], kw_end[i]) are inside.
  void (*max_pool_row)(int count, int c, const float* x, ptrdiff_t step, ptrdiff_t row, int kw,
                       int kh_begin, int kh_end, const int32_t* kw_begin, const int32_t* kw_end,
                       float* y, uint16_t* winner);
  // Its reverse where windows do not overlap and lie inside: writes all kh * kw positions of each window.
  void (*max_pool_row_backward)(int count, int c, const float* dy, const uint16_t* winner,
                                ptrdiff_t step, ptrdiff_t row, int kh, int kw, float* dx);
  void (*sgd)(const SgdConstants* s, size_t count, const float* grad, float* value,
              float* velocity);
  void (*adam)(const AdamConstants* s, size_t count, const float* grad, float* value, float* m,
               float* v);
};

#if defined(__x86_64__)
extern const SimdKernels kSimdSse2, kSimdAvx2, kSimdAvx512;
#else
extern const SimdKernels kSimdBase;
#endif

}  // namespace pinhole
