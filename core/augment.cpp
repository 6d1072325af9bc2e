// torchvision.transforms (0.14) on PIL images (Pillow 9.4): RandomHorizontalFlip, RandomCrop, RandomResizedCrop, RandomAffine,
// ColorJitter, RandomErasing. Compiled without contraction of a * b + c, and with its own sin, exp and log, so that every
// platform computes the same bytes.
#include "augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>

#include "error.h"
#include "image.h"
#include "json.h"

namespace pinhole {

namespace augment {

namespace {

std::uint8_t clipped(int value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); }

/// Pillow's Image.blend(a, b, factor), for factors outside [0, 1] too (libImaging/Blend.c): truncates.
std::uint8_t blended(int a, int b, float factor) {
  const float value = static_cast<float>(a) + factor * static_cast<float>(b - a);
  return value <= 0.0F ? 0 : value >= 255.0F ? 255 : static_cast<std::uint8_t>(value);
}

/// Pillow's convert("L").
int luma(const std::uint8_t* rgb) {
  return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
}

std::size_t pixels_of(const Pixels& image) {
  return static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width);
}

// libImaging/Convert.c: rgb2hsv_row, hsv2rgb.
std::array<std::uint8_t, 3> to_hsv(const std::uint8_t* rgb) {
  const int r = rgb[0], g = rgb[1], b = rgb[2];
  const int most = std::max({r, g, b}), least = std::min({r, g, b});
  if (most == least) return {0, 0, static_cast<std::uint8_t>(most)};
  const auto range = static_cast<float>(most - least);
  const float s = range / static_cast<float>(most);
  const float rc = static_cast<float>(most - r) / range;
  const float gc = static_cast<float>(most - g) / range;
  const float bc = static_cast<float>(most - b) / range;
  double h = r == most ? bc - gc : g == most ? 2.0 + rc - bc : 4.0 + gc - rc;
  h = static_cast<float>(h);
  h = static_cast<float>(std::fmod(h / 6.0 + 1.0, 1.0));
  return {clipped(static_cast<int>(h * 255.0)),
          clipped(static_cast<int>(static_cast<double>(s) * 255.0)),
          static_cast<std::uint8_t>(most)};
}

void to_rgb(const std::array<std::uint8_t, 3>& hsv, std::uint8_t* rgb) {
  const auto [h, s, v] = hsv;
  if (s == 0) {
    rgb[0] = rgb[1] = rgb[2] = v;
    return;
  }
  const auto sector = static_cast<int>(std::floor(h * 6.0 / 255.0));
  const auto f =
      static_cast<float>(h * 6.0 / 255.0 - static_cast<double>(static_cast<float>(sector)));
  const auto fs = static_cast<float>(static_cast<float>(s) / 255.0);
  const auto rounded = [](double value) {
    return clipped(static_cast<int>(std::floor(value + 0.5)));
  };
  const std::uint8_t p = rounded(v * (1.0 - fs));
  const std::uint8_t q = rounded(v * (1.0 - static_cast<double>(fs * f)));
  const std::uint8_t t = rounded(v * (1.0 - fs * (1.0 - f)));
  const std::array<std::array<std::uint8_t, 3>, 6> sectors{
      {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}}};
  std::copy_n(sectors[static_cast<std::size_t>(sector % 6)].data(), 3, rgb);
}

int reflected(int i, int size) {
  if (size == 1) return 0;
  const int period = 2 * (size - 1);
  i = ((i % period) + period) % period;
  return i < size ? i : period - i;
}

}  // namespace

double exact_sin(double x) {
  // To [-pi, pi], then the series; angles here are of a few turns at most.
  const double turns = std::nearbyint(x / (2 * std::numbers::pi));
  x -= turns * (2 * std::numbers::pi);
  double term = x, sum = x;
  for (int n = 1; n <= 20; ++n) {
    term *= -x * x / ((2 * n) * (2 * n + 1));
    sum += term;
  }
  return sum;
}

double exact_cos(double x) {
  const double turns = std::nearbyint(x / (2 * std::numbers::pi));
  x -= turns * (2 * std::numbers::pi);
  double term = 1, sum = 1;
  for (int n = 1; n <= 20; ++n) {
    term *= -x * x / ((2 * n - 1) * (2 * n));
    sum += term;
  }
  return sum;
}

double exact_exp(double x) {
  const double halvings = std::nearbyint(x / std::numbers::ln2);
  x -= halvings * std::numbers::ln2;
  double term = 1, sum = 1;
  for (int n = 1; n <= 20; ++n) {
    term *= x / n;
    sum += term;
  }
  return std::ldexp(sum, static_cast<int>(halvings));
}

double exact_log(double x) {
  int exponent = 0;
  const double part = std::frexp(x, &exponent);  // [0.5, 1)
  const double y = (part - 1) / (part + 1);
  double power = y, sum = 0;
  for (int n = 1; n <= 61; n += 2) {
    sum += power / n;
    power *= y * y;
  }
  return 2 * sum + exponent * std::numbers::ln2;
}

void flip_horizontally(Pixels& image) {
  for (int y = 0; y < image.height; ++y) {
    for (int left = 0, right = image.width - 1; left < right; ++left, --right)
      std::swap_ranges(image.at(y, left), image.at(y, left) + image.channels, image.at(y, right));
  }
}

void shift_padded(Pixels& image, int padding, Padding mode, std::uint8_t fill, int top, int left) {
  Pixels out = image;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      int from_y = y + top - padding, from_x = x + left - padding;
      if (mode == Padding::kEdge) {
        from_y = std::clamp(from_y, 0, image.height - 1);
        from_x = std::clamp(from_x, 0, image.width - 1);
      } else if (mode == Padding::kReflect) {
        from_y = reflected(from_y, image.height);
        from_x = reflected(from_x, image.width);
      }
      const bool inside =
          from_y >= 0 && from_y < image.height && from_x >= 0 && from_x < image.width;
      if (inside) {
        std::copy_n(image.at(from_y, from_x), image.channels, out.at(y, x));
      } else {
        std::fill_n(out.at(y, x), image.channels, fill);
      }
    }
  }
  image = std::move(out);
}

void resized_crop(Pixels& image, int top, int left, int height, int width) {
  Pixels part{.height = height, .width = width, .channels = image.channels, .bytes = {}};
  for (int y = top; y < top + height; ++y)
    part.bytes.insert(part.bytes.end(), image.at(y, left),
                      image.at(y, left) + width * image.channels);
  image.bytes = to_input(part.bytes, height, width, image.channels, image.height, image.width,
                         image.channels);
}

void affine(Pixels& image, const Affine& a, bool bilinear, std::uint8_t fill) {
  // torchvision.transforms.functional._get_inverse_affine_matrix: out = T C R(angle) S(shear) scale C^-1, inverted.
  const auto radians = [](double degrees) { return degrees * std::numbers::pi / 180; };
  const double rotation = radians(a.angle), sx = radians(a.shear_x), sy = radians(a.shear_y);
  const double cx = image.width * 0.5, cy = image.height * 0.5;
  const double tan_sx = exact_sin(sx) / exact_cos(sx), cos_sy = exact_cos(sy);
  const double cos_r = exact_cos(rotation), sin_r = exact_sin(rotation);
  const double cos_rs = exact_cos(rotation - sy), sin_rs = exact_sin(rotation - sy);
  const double ra = cos_rs / cos_sy;
  const double rb = -cos_rs * tan_sx / cos_sy - sin_r;
  const double rc = sin_rs / cos_sy;
  const double rd = -sin_rs * tan_sx / cos_sy + cos_r;
  double m[6] = {rd / a.scale, -rb / a.scale, 0, -rc / a.scale, ra / a.scale, 0};
  m[2] = m[0] * (-cx - a.translate_x) + m[1] * (-cy - a.translate_y) + cx;
  m[5] = m[3] * (-cx - a.translate_x) + m[4] * (-cy - a.translate_y) + cy;

  // libImaging/Geometry.c: affine_transform, then the nearest pixel or bilinear_filter8, which truncates.
  Pixels out = image;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const double from_x = m[0] * (x + 0.5) + m[1] * (y + 0.5) + m[2];
      const double from_y = m[3] * (x + 0.5) + m[4] * (y + 0.5) + m[5];
      if (from_x < 0 || from_x >= image.width || from_y < 0 || from_y >= image.height) {
        std::fill_n(out.at(y, x), image.channels, fill);
        continue;
      }
      if (!bilinear) {
        std::copy_n(image.at(static_cast<int>(from_y), static_cast<int>(from_x)), image.channels,
                    out.at(y, x));
        continue;
      }
      const int left = static_cast<int>(std::floor(from_x - 0.5));
      const int top = static_cast<int>(std::floor(from_y - 0.5));
      const double dx = from_x - 0.5 - left, dy = from_y - 0.5 - top;
      const int x0 = std::clamp(left, 0, image.width - 1);
      const int x1 = std::clamp(left + 1, 0, image.width - 1);
      const int y0 = std::clamp(top, 0, image.height - 1);
      const int y1 = std::clamp(top + 1, 0, image.height - 1);
      for (int c = 0; c < image.channels; ++c) {
        const double a00 = image.at(y0, x0)[c], a01 = image.at(y0, x1)[c];
        const double a10 = image.at(y1, x0)[c], a11 = image.at(y1, x1)[c];
        const double upper = a00 + dx * (a01 - a00), lower = a10 + dx * (a11 - a10);
        out.at(y, x)[c] = static_cast<std::uint8_t>(upper + dy * (lower - upper));
      }
    }
  }
  image = std::move(out);
}

void adjust_brightness(Pixels& image, double factor) {
  for (std::uint8_t& value : image.bytes) value = blended(0, value, static_cast<float>(factor));
}

void adjust_contrast(Pixels& image, double factor) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < pixels_of(image); ++i)
    sum += static_cast<std::uint64_t>(image.channels == 3 ? luma(image.bytes.data() + 3 * i)
                                                          : image.bytes[i]);
  const auto mean =
      static_cast<int>(static_cast<double>(sum) / static_cast<double>(pixels_of(image)) + 0.5);
  for (std::uint8_t& value : image.bytes) value = blended(mean, value, static_cast<float>(factor));
}

void adjust_saturation(Pixels& image, double factor) {
  if (image.channels != 3) return;
  for (std::size_t i = 0; i < pixels_of(image); ++i) {
    std::uint8_t* rgb = image.bytes.data() + 3 * i;
    const int grey = luma(rgb);
    for (int c = 0; c < 3; ++c) rgb[c] = blended(grey, rgb[c], static_cast<float>(factor));
  }
}

void adjust_hue(Pixels& image, double part) {
  if (image.channels != 3 || part == 0) return;
  const auto turn = static_cast<std::uint8_t>(static_cast<int>(part * 255) & 255);
  for (std::size_t i = 0; i < pixels_of(image); ++i) {
    std::uint8_t* rgb = image.bytes.data() + 3 * i;
    std::array<std::uint8_t, 3> hsv = to_hsv(rgb);
    hsv[0] = static_cast<std::uint8_t>(hsv[0] + turn);
    to_rgb(hsv, rgb);
  }
}

void erase(Pixels& image, int top, int left, int height, int width, std::uint8_t fill) {
  for (int y = top; y < top + height; ++y)
    std::fill_n(image.at(y, left), width * image.channels, fill);
}

}  // namespace augment

namespace {

using namespace augment;

struct Range {
  double least = 0, most = 0;
  double draw(Rng& rng) const { return least + (most - least) * rng.uniform(); }
};

int whole(Rng& rng, int bound) {
  return static_cast<int>(rng.below(static_cast<std::uint32_t>(bound)));
}

/// Python's round: halves to even.
int rounded(double value) { return static_cast<int>(std::nearbyint(value)); }

/// One transform's spec, read with checks.
class Parameters : public JsonReader {
 public:
  using JsonReader::JsonReader;

  double number(const char* key, double fallback, double least, double most) {
    const Json* found = find(key);
    return found == nullptr ? fallback : checked(key, *found, least, most);
  }
  int integer(const char* key, int fallback, int least, int most) {
    const Json* found = find(key);
    if (found == nullptr) return fallback;
    if (!found->is_number_integer())
      fail(key, text("a whole number from ", least, " to ", most), *found);
    return static_cast<int>(checked(key, *found, least, most));
  }
  /// [least, most]; with `symmetric` one number n is [-n, n].
  std::optional<Range> range(const char* key, double least, double most, bool symmetric) {
    const Json* found = find(key);
    if (found == nullptr || found->is_null()) return std::nullopt;
    if (symmetric && found->is_number()) {
      const double limit = checked(key, *found, 0, most);
      return Range{-limit, limit};
    }
    const Range out = pair(key, *found, least, most);
    if (out.least > out.most) fail(key, "the smaller number first", *found);
    return out;
  }
  /// Two numbers in any order.
  Range pair(const char* key, const Json& value, double least, double most) const {
    if (!value.is_array() || value.size() != 2) fail(key, "two numbers", value);
    return {checked(key, value[0], least, most), checked(key, value[1], least, most)};
  }
  std::string word(const char* key, const std::vector<std::string>& words) {
    const Json* found = find(key);
    if (found == nullptr) return words[0];
    const std::string word = found->is_string() ? found->get<std::string>() : std::string();
    if (std::find(words.begin(), words.end(), word) == words.end()) {
      std::string all;
      for (const std::string& known : words) all += text(all.empty() ? "" : ", ", known);
      fail(key, "one of " + all, *found);
    }
    return word;
  }

 private:
  double checked(const char* key, const Json& value, double least, double most) const {
    const bool ok =
        value.is_number() && value.get<double>() >= least && value.get<double>() <= most;
    if (!ok)
      fail(key, text("a number from ", Json(least).dump(), " to ", Json(most).dump()), value);
    return value.get<double>();
  }
};

class RandomHorizontalFlip final : public Transform {
 public:
  explicit RandomHorizontalFlip(Parameters& p) : p_(p.number("p", 0.5, 0, 1)) {}
  void apply(Pixels& image, Rng& rng) const override {
    if (rng.uniform() < p_) flip_horizontally(image);
  }

 private:
  double p_;
};

/// torchvision's RandomCrop whose size is the image's own.
class RandomCrop final : public Transform {
 public:
  explicit RandomCrop(Parameters& p)
      : padding_(p.integer("padding", 4, 0, 10'000)),
        fill_(static_cast<std::uint8_t>(p.integer("fill", 0, 0, 255))) {
    const std::string mode = p.word("padding_mode", {"constant", "edge", "reflect"});
    mode_ = mode == "edge"      ? Padding::kEdge
            : mode == "reflect" ? Padding::kReflect
                                : Padding::kConstant;
  }
  void apply(Pixels& image, Rng& rng) const override {
    const int top = whole(rng, 2 * padding_ + 1), left = whole(rng, 2 * padding_ + 1);
    shift_padded(image, padding_, mode_, fill_, top, left);
  }

 private:
  int padding_;
  std::uint8_t fill_;
  Padding mode_ = Padding::kConstant;
};

/// exp of a number between the logarithms of the range's ends.
double draw_ratio(const Range& ratio, Rng& rng) {
  return exact_exp(Range{exact_log(ratio.least), exact_log(ratio.most)}.draw(rng));
}

class RandomResizedCrop final : public Transform {
 public:
  explicit RandomResizedCrop(Parameters& p)
      : scale_(p.range("scale", 0.001, 1, false).value_or(Range{0.08, 1})),
        ratio_(p.range("ratio", 0.01, 100, false).value_or(Range{3.0 / 4, 4.0 / 3})) {}
  void apply(Pixels& image, Rng& rng) const override {
    const double area = static_cast<double>(image.height) * image.width;
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double target = area * scale_.draw(rng);
      const double ratio = draw_ratio(ratio_, rng);
      const int width = rounded(std::sqrt(target * ratio));
      const int height = rounded(std::sqrt(target / ratio));
      if (width < 1 || width > image.width || height < 1 || height > image.height) continue;
      const int top = whole(rng, image.height - height + 1);
      const int left = whole(rng, image.width - width + 1);
      resized_crop(image, top, left, height, width);
      return;
    }
    // The largest part in the middle whose ratio is allowed.
    const double ratio = static_cast<double>(image.width) / image.height;
    int width = image.width, height = image.height;
    if (ratio < ratio_.least) {
      height = rounded(width / ratio_.least);
    } else if (ratio > ratio_.most) {
      width = rounded(height * ratio_.most);
    }
    resized_crop(image, (image.height - height) / 2, (image.width - width) / 2, height, width);
  }

 private:
  Range scale_, ratio_;
};

class RandomAffine final : public Transform {
 public:
  explicit RandomAffine(Parameters& p)
      : degrees_(p.range("degrees", -360, 360, true).value_or(Range{0, 0})),
        scale_(p.range("scale", 0.01, 100, false).value_or(Range{1, 1})),
        shear_x_(Range{0, 0}),
        shear_y_(Range{0, 0}),
        bilinear_(p.word("interpolation", {"nearest", "bilinear"}) == "bilinear"),
        fill_(static_cast<std::uint8_t>(p.integer("fill", 0, 0, 255))) {
    if (const Json* translate = p.find("translate"); translate != nullptr && !translate->is_null())
      translate_ = p.pair("translate", *translate, 0, 1);
    // n: x from -n to n; [a, b]: x from a to b; [a, b, c, d]: y from c to d too.
    const Json* shear = p.find("shear");
    if (shear != nullptr && shear->is_array() && shear->size() == 4) {
      shear_x_ = p.pair("shear", Json::array({(*shear)[0], (*shear)[1]}), -80, 80);
      shear_y_ = p.pair("shear", Json::array({(*shear)[2], (*shear)[3]}), -80, 80);
    } else {
      shear_x_ = p.range("shear", -80, 80, true).value_or(Range{0, 0});
    }
  }
  void apply(Pixels& image, Rng& rng) const override {
    Affine a;
    a.angle = degrees_.draw(rng);
    const double most_x = translate_.least * image.width, most_y = translate_.most * image.height;
    a.translate_x = rounded(Range{-most_x, most_x}.draw(rng));
    a.translate_y = rounded(Range{-most_y, most_y}.draw(rng));
    a.scale = scale_.draw(rng);
    a.shear_x = shear_x_.draw(rng);
    a.shear_y = shear_y_.draw(rng);
    affine(image, a, bilinear_, fill_);
  }

 private:
  Range degrees_, translate_, scale_, shear_x_, shear_y_;  // translate_: parts of width and height
  bool bilinear_;
  std::uint8_t fill_;
};

class ColorJitter final : public Transform {
 public:
  explicit ColorJitter(Parameters& p)
      : brightness_(factor(p, "brightness")),
        contrast_(factor(p, "contrast")),
        saturation_(factor(p, "saturation")),
        hue_(p.range("hue", -0.5, 0.5, true)) {}
  void apply(Pixels& image, Rng& rng) const override {
    std::vector<int> order{0, 1, 2, 3};
    shuffle(order, rng);
    // All are drawn first, so that one does not depend on the others.
    const auto drawn = [&](const std::optional<Range>& range) {
      return range ? std::optional(range->draw(rng)) : std::nullopt;
    };
    const std::array values{drawn(brightness_), drawn(contrast_), drawn(saturation_), drawn(hue_)};
    constexpr std::array kAdjust{adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue};
    for (const int which : order) {
      const auto i = static_cast<std::size_t>(which);
      if (const auto& value = values[i]) kAdjust[i](image, *value);
    }
  }

 private:
  /// n: from max(0, 1 - n) to 1 + n.
  static std::optional<Range> factor(Parameters& p, const char* key) {
    const Json* found = p.find(key);
    if (found != nullptr && found->is_number()) {
      const double n = p.number(key, 0, 0, 100);
      return Range{std::max(0.0, 1 - n), 1 + n};
    }
    return p.range(key, 0, 100, false);
  }

  std::optional<Range> brightness_, contrast_, saturation_, hue_;
};

/// torchvision erases after ToTensor; `value` is in its units, 0 to 1.
class RandomErasing final : public Transform {
 public:
  explicit RandomErasing(Parameters& p)
      : p_(p.number("p", 0.5, 0, 1)),
        scale_(p.range("scale", 0, 1, false).value_or(Range{0.02, 0.33})),
        ratio_(p.range("ratio", 0.01, 100, false).value_or(Range{0.3, 3.3})),
        fill_(static_cast<std::uint8_t>(std::nearbyint(p.number("value", 0, 0, 1) * 255))) {}
  void apply(Pixels& image, Rng& rng) const override {
    if (rng.uniform() >= p_) return;
    const double area = static_cast<double>(image.height) * image.width;
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double target = area * scale_.draw(rng);
      const double ratio = draw_ratio(ratio_, rng);
      const int height = rounded(std::sqrt(target * ratio));
      const int width = rounded(std::sqrt(target / ratio));
      if (height >= image.height || width >= image.width) continue;
      const int top = whole(rng, image.height - height + 1);
      const int left = whole(rng, image.width - width + 1);
      erase(image, top, left, height, width, fill_);
      return;
    }
  }

 private:
  double p_;
  Range scale_, ratio_;
  std::uint8_t fill_;
};

template <class T>
std::shared_ptr<const Transform> make(Parameters& parameters) {
  return std::make_shared<const T>(parameters);
}

struct Kind {
  std::string_view type;
  std::shared_ptr<const Transform> (*make)(Parameters&);
};
constexpr std::array kKinds{Kind{"RandomHorizontalFlip", &make<RandomHorizontalFlip>},
                            Kind{"RandomCrop", &make<RandomCrop>},
                            Kind{"RandomResizedCrop", &make<RandomResizedCrop>},
                            Kind{"RandomAffine", &make<RandomAffine>},
                            Kind{"ColorJitter", &make<ColorJitter>},
                            Kind{"RandomErasing", &make<RandomErasing>}};

}  // namespace

Augmentation::Augmentation() : list_(std::make_shared<const Json>(Json::array())) {}

Augmentation::Augmentation(const Json& list, std::string_view what)
    : list_(std::make_shared<const Json>(list)) {
  if (!list.is_array())
    throw Error(text(what, " expected a list of transforms, got ", list.dump()));
  for (const Json& entry : list) {
    if (!entry.is_object() || !entry.contains("type") || !entry["type"].is_string())
      throw Error(
          text(what, ": a transform expected an object with a \"type\", got ", entry.dump()));
    const std::string type = entry["type"];
    const auto* kind = std::find_if(kKinds.begin(), kKinds.end(),
                                    [&](const Kind& known) { return known.type == type; });
    if (kind == kKinds.end()) {
      std::string known;
      for (const Kind& k : kKinds) known += text(known.empty() ? "" : ", ", k.type);
      throw Error(text(what, ": unknown transform \"", type, "\"; known are ", known));
    }
    Parameters parameters(entry, text(what, " [", type, " #", transforms_.size() + 1, ']'),
                          {"type"});
    transforms_.push_back(kind->make(parameters));
    parameters.check_all_used();
  }
}

void Augmentation::apply(augment::Pixels& image, std::uint64_t seed, int epoch,
                         std::uint32_t index) const {
  constexpr std::uint64_t kStream = 0x6175676d656e74;  // "augment"
  Rng rng(mix64(seed) + static_cast<std::uint64_t>(epoch), kStream + index);
  for (const auto& transform : transforms_) transform->apply(image, rng);
}

}  // namespace pinhole
