// Random changes of training images, with the names, parameters and semantics of torchvision.transforms on PIL images. What an
// image becomes follows from (seed, epoch, index of the image) alone: the same bytes natively and in WebAssembly, for any
// number of threads and after a resume.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "json_fwd.h"
#include "rng.h"

namespace pinhole {

namespace augment {

/// uint8 pixels, row-major, channels last: 1 (grey) or 3 (RGB).
struct Pixels {
  int height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> bytes;

  std::uint8_t* at(int y, int x) { return bytes.data() + offset(y, x); }
  const std::uint8_t* at(int y, int x) const { return bytes.data() + offset(y, x); }

 private:
  std::size_t offset(int y, int x) const {
    return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
            static_cast<std::size_t>(x)) *
           static_cast<std::size_t>(channels);
  }
};

}  // namespace augment

/// One change. The size stays.
class Transform {
 public:
  virtual ~Transform() = default;
  virtual void apply(augment::Pixels& image, Rng& rng) const = 0;
};

/// Transforms one after the other.
class Augmentation {
 public:
  Augmentation();
  /// [{"type": "RandomHorizontalFlip", "p": 0.5}, ...]. Throws Error that names the transform, the key and what was expected;
  /// `what` starts it.
  Augmentation(const Json& list, std::string_view what);

  bool empty() const { return transforms_.empty(); }
  /// The list it was made from.
  const Json& json() const { return *list_; }
  /// Image `index` as it is in this epoch of a training with this seed.
  void apply(augment::Pixels& image, std::uint64_t seed, int epoch, std::uint32_t index) const;

 private:
  std::shared_ptr<const Json> list_;
  std::vector<std::shared_ptr<const Transform>> transforms_;
};

/// Building stones, tested against Pillow and hand-written numpy.
namespace augment {

void flip_horizontally(Pixels& image);

enum class Padding { kConstant, kEdge, kReflect };
/// Pads on all sides, then cuts the original size out at (top, left) of the padded image.
void shift_padded(Pixels& image, int padding, Padding mode, std::uint8_t fill, int top, int left);

/// Cuts out and resizes to the image's size with Pillow's antialiased bilinear filter.
void resized_crop(Pixels& image, int top, int left, int height, int width);

struct Affine {
  double angle = 0;  // degrees, clockwise, as torchvision.transforms.functional.affine
  int translate_x = 0, translate_y = 0;
  double scale = 1;
  double shear_x = 0, shear_y = 0;  // degrees
};
/// About the image's centre; what comes from outside is `fill`.
void affine(Pixels& image, const Affine& transform, bool bilinear, std::uint8_t fill);

// PIL's ImageEnhance, and torchvision's adjust_hue: factor 1 (hue 0) changes nothing. Grey images have no colour to adjust.
void adjust_brightness(Pixels& image, double factor);
void adjust_contrast(Pixels& image, double factor);
void adjust_saturation(Pixels& image, double factor);
void adjust_hue(Pixels& image, double part_of_circle);

void erase(Pixels& image, int top, int left, int height, int width, std::uint8_t fill);

/// The same bits on every platform, unlike the C library's.
double exact_sin(double radians);
double exact_cos(double radians);
double exact_exp(double x);
double exact_log(double x);

}  // namespace augment

}  // namespace pinhole
