# PINHOLE_CACHE_DIR: where scripts/setup.sh keeps toolchains, sources and built dependencies, outside the tree.
if(DEFINED ENV{PINHOLE_CACHE})
  set(PINHOLE_CACHE_DIR "$ENV{PINHOLE_CACHE}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(PINHOLE_CACHE_DIR "$ENV{XDG_CACHE_HOME}/pinhole")
else()
  set(PINHOLE_CACHE_DIR "$ENV{HOME}/.cache/pinhole")
endif()
