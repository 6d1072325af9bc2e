# Provides the targets `XNNPACK` (float32 operators; xnnpack.h) and `pthreadpool` (pthreadpool.h, usable alone).
# Both are built once per compiler by cmake/xnnpack/ into the cache, the first time a build folder needs them, and shared by
# every clone and build folder after that. Set PINHOLE_WASM_VARIANT before including this on wasm.
#
# Sources: PINHOLE_XNNPACK_DIR (a folder with xnnpack/ pthreadpool/ fp16/ fxdiv/; variable or environment), else what
# scripts/setup.sh put in the cache, else (with PINHOLE_FETCH_XNNPACK) GitHub,
# kept in the cache.
include("${CMAKE_CURRENT_LIST_DIR}/cache.cmake")

set(PINHOLE_XNNPACK_DIR "$ENV{PINHOLE_XNNPACK_DIR}" CACHE PATH "folder with xnnpack/ pthreadpool/ fp16/ fxdiv/; empty: the cache")
option(PINHOLE_FETCH_XNNPACK "fetch XNNPACK's sources from GitHub when they are nowhere else" ON)

# Sets OUT to the folder of the sources.
function(pinhole_find_xnnpack_sources OUT)
  set(cached "${PINHOLE_CACHE_DIR}/xnnpack-20241108.4ea82e5") # as in scripts/setup.sh
  if(PINHOLE_XNNPACK_DIR)
    set(${OUT} "${PINHOLE_XNNPACK_DIR}" PARENT_SCOPE)
  elseif(EXISTS "${cached}")
    set(${OUT} "${cached}" PARENT_SCOPE)
  elseif(PINHOLE_FETCH_XNNPACK)
    set(root "${cached}.new")
    file(REMOVE_RECURSE "${root}")
    include(FetchContent)
    foreach(source xnnpack=google/XNNPACK@4ea82e595b36106653175dcb04b2aa532660d0d8
                   pthreadpool=Maratyszcza/pthreadpool@560c60d342a76076f0557a3946924c6478470044
                   fp16=Maratyszcza/FP16@4dfe081cf6bcd15db339cf2680b9281b8451eeb3
                   fxdiv=Maratyszcza/FXdiv@b408327ac2a15ec3e43352421954f5b1967701d1)
      string(REGEX MATCH "([a-z0-9]+)=([^@]+)@(.+)" matched "${source}")
      FetchContent_Populate(pinhole_${CMAKE_MATCH_1} QUIET GIT_REPOSITORY "https://github.com/${CMAKE_MATCH_2}.git"
        GIT_TAG "${CMAKE_MATCH_3}" SOURCE_DIR "${root}/${CMAKE_MATCH_1}")
    endforeach()
    file(RENAME "${root}" "${cached}")
    set(${OUT} "${cached}" PARENT_SCOPE)
  else()
    message(FATAL_ERROR "XNNPACK's sources are missing; run scripts/setup.sh native, or give -DPINHOLE_XNNPACK_DIR=FOLDER")
  endif()
endfunction()

# Sets OUT to the install folder, building it first when it is not there.
function(pinhole_build_xnnpack OUT)
  pinhole_find_xnnpack_sources(sources)
  set(project "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/xnnpack")
  set(recipe "${sources}")
  foreach(file CMakeLists.txt shim/cpuinfo.h)
    file(SHA256 "${project}/${file}" hash)
    string(APPEND recipe "${hash}")
  endforeach()
  string(SHA256 hash "${recipe}${CMAKE_C_COMPILER}${CMAKE_C_COMPILER_VERSION}")
  string(SUBSTRING "${hash}" 0 10 hash)
  if(EMSCRIPTEN)
    set(name "wasm-emscripten${EMSCRIPTEN_VERSION}-${hash}")
  else()
    string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}-${CMAKE_C_COMPILER_ID}${CMAKE_C_COMPILER_VERSION}-${hash}" name)
  endif()
  set(installed "${PINHOLE_CACHE_DIR}/built/xnnpack-${name}")
  set(${OUT} "${installed}" PARENT_SCOPE)
  if(EXISTS "${installed}")
    return()
  endif()

  file(MAKE_DIRECTORY "${PINHOLE_CACHE_DIR}/built")
  set(lock "${PINHOLE_CACHE_DIR}/built/xnnpack-${name}.lock")
  file(LOCK "${lock}" GUARD FUNCTION TIMEOUT 0 RESULT_VARIABLE busy)
  if(busy)
    message(STATUS "Building XNNPACK for ${name}: another build is at it, waiting")
    file(LOCK "${lock}" GUARD FUNCTION TIMEOUT 3600)
  endif()
  if(EXISTS "${installed}") # another build made it while this one waited
    return()
  endif()
  message(STATUS "Building XNNPACK for ${name}: once, about two minutes, kept in ${PINHOLE_CACHE_DIR}/built")
  set(build "${PINHOLE_CACHE_DIR}/built/building-${name}") # kept after an interruption, so that the next run resumes
  set(arguments -G "${CMAKE_GENERATOR}" -DCMAKE_BUILD_TYPE=Release "-DXNNPACK_SOURCE_ROOT=${sources}"
      "-DCMAKE_INSTALL_PREFIX=${installed}.new")
  if(CMAKE_TOOLCHAIN_FILE)
    list(APPEND arguments "-DCMAKE_TOOLCHAIN_FILE=${CMAKE_TOOLCHAIN_FILE}")
  else()
    list(APPEND arguments "-DCMAKE_C_COMPILER=${CMAKE_C_COMPILER}" "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}")
  endif()
  file(REMOVE_RECURSE "${installed}.new")
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  foreach(step "-S;${project};-B;${build};${arguments}" "--build;${build};--parallel;${cores}" "--install;${build}")
    execute_process(COMMAND "${CMAKE_COMMAND}" ${step} RESULT_VARIABLE result
      OUTPUT_FILE "${build}.log" ERROR_FILE "${build}.log")
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "XNNPACK did not build; see ${build}.log")
    endif()
  endforeach()
  file(RENAME "${installed}.new" "${installed}")
  file(REMOVE_RECURSE "${build}")
  file(REMOVE "${build}.log")
endfunction()

pinhole_build_xnnpack(PINHOLE_XNNPACK_PREFIX)
if(EMSCRIPTEN)
  set(variant_folder "${PINHOLE_XNNPACK_PREFIX}/lib/${PINHOLE_WASM_VARIANT}")
  if(NOT EXISTS "${variant_folder}")
    message(FATAL_ERROR "PINHOLE_WASM_VARIANT is '${PINHOLE_WASM_VARIANT}'; there are: simd simd-threads relaxed relaxed-threads")
  endif()
else()
  set(variant_folder "${PINHOLE_XNNPACK_PREFIX}/lib/native")
endif()

# When the cache was emptied, the next build configures again, and so fills it.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${variant_folder}/libXNNPACK.a")

add_library(pthreadpool STATIC IMPORTED GLOBAL)
set_target_properties(pthreadpool PROPERTIES IMPORTED_LOCATION "${variant_folder}/libpthreadpool.a")
target_include_directories(pthreadpool INTERFACE "${PINHOLE_XNNPACK_PREFIX}/include")
if(NOT EMSCRIPTEN)
  set(THREADS_PREFER_PTHREAD_FLAG ON)
  find_package(Threads REQUIRED)
  target_link_libraries(pthreadpool INTERFACE Threads::Threads)
endif()

add_library(xnnpack_kernels STATIC IMPORTED GLOBAL)
set_target_properties(xnnpack_kernels PROPERTIES IMPORTED_LOCATION "${PINHOLE_XNNPACK_PREFIX}/lib/libxnnpack_kernels.a")
add_library(XNNPACK STATIC IMPORTED GLOBAL)
set_target_properties(XNNPACK PROPERTIES IMPORTED_LOCATION "${variant_folder}/libXNNPACK.a")
target_link_libraries(XNNPACK INTERFACE xnnpack_kernels pthreadpool)
if(NOT EMSCRIPTEN)
  target_link_libraries(XNNPACK INTERFACE m)
endif()
