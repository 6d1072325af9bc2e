# Writes OUT: a header with `kSourcesDigest`, eight hexadecimal digits that differ when a source of the core, one of SOURCES, does.
set(all "")
foreach(SOURCE IN LISTS SOURCES)
  file(SHA256 ${SOURCE} digest)
  string(APPEND all ${digest})
endforeach()
string(SHA256 digest "${all}")
string(SUBSTRING ${digest} 0 8 digest)
file(CONFIGURE OUTPUT ${OUT} CONTENT "#pragma once\ninline constexpr char kSourcesDigest[] = \"${digest}\";\n")
