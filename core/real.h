// The core's number type. Tests compile the core a second time with PINHOLE_DOUBLE, because in float a
// numeric gradient check drowns in rounding noise.
#pragma once

namespace pinhole {

#ifdef PINHOLE_DOUBLE
using real = double;
#else
using real = float;
#endif

}  // namespace pinhole
