# CMake toolchain for WebAssembly: an Emscripten of 3.1.69 or newer on the PATH, else the one scripts/setup.sh put in the
# cache, else Debian's own; then Emscripten's toolchain file does the rest. No environment variable has to be set.
include("${CMAKE_CURRENT_LIST_DIR}/cache.cmake")

set(PINHOLE_EMSCRIPTEN_MINIMUM 3.1.69)
set(PINHOLE_EMSCRIPTEN "" CACHE PATH "root folder of Emscripten (where emcc.py is); found by itself when empty")

if(NOT PINHOLE_EMSCRIPTEN)
  set(candidates)
  find_program(PINHOLE_EMCC emcc NO_CACHE)
  if(PINHOLE_EMCC)
    file(REAL_PATH "${PINHOLE_EMCC}" emcc)
    cmake_path(GET emcc PARENT_PATH root)
    if(NOT EXISTS "${root}/emscripten-version.txt") # a wrapper script
      execute_process(COMMAND em-config EMSCRIPTEN_ROOT OUTPUT_VARIABLE root OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
    list(APPEND candidates "${root}")
  endif()
  list(APPEND candidates "${PINHOLE_CACHE_DIR}/emscripten-3.1.69/emscripten" /usr/share/emscripten)
  foreach(root ${candidates})
    if(EXISTS "${root}/emscripten-version.txt")
      file(READ "${root}/emscripten-version.txt" version)
      string(REGEX MATCH "[0-9.]+" version "${version}")
      if(version VERSION_GREATER_EQUAL PINHOLE_EMSCRIPTEN_MINIMUM)
        set(PINHOLE_EMSCRIPTEN "${root}" CACHE PATH "" FORCE)
        break()
      endif()
    endif()
  endforeach()
endif()
if(NOT PINHOLE_EMSCRIPTEN)
  message(FATAL_ERROR "no Emscripten ${PINHOLE_EMSCRIPTEN_MINIMUM} or newer was found; run scripts/setup.sh wasm, or put emcc on the PATH")
endif()
include("${PINHOLE_EMSCRIPTEN}/cmake/Modules/Platform/Emscripten.cmake")

# Header-only libraries (nlohmann/, stb/) copied here by scripts/setup.sh: emcc must never see /usr/include.
set(PINHOLE_HEADER_LIBS "${PINHOLE_CACHE_DIR}/include" CACHE PATH "header-only libraries for wasm")
