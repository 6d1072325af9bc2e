#!/usr/bin/env bash
# Installs what Pinhole needs and this machine lacks; says each step and its reason first; does nothing when all is there.
#
#   scripts/setup.sh [native] [wasm] [web] [test] [browsers] [lint] [fuzz]      (no argument: native wasm web)
#
# Debian packages are installed with apt (the only step that needs root or sudo). Everything else goes into the cache,
# ${PINHOLE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/pinhole}, shared by all clones; node_modules is the one thing put in the tree.
# Used instead of fetching, when there: an `emcc` of 3.1.69 or newer on the PATH, XNNPACK's sources in PINHOLE_XNNPACK_DIR.
# A step that was interrupted starts again: a folder gets its final name only when it is complete.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${PINHOLE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pinhole}

EMSCRIPTEN_MINIMUM=3.1.69
EMSCRIPTEN_DIR=$CACHE/emscripten-3.1.69
# cmake/XNNPACK.cmake looks for the same folder.
XNNPACK_DIR=$CACHE/xnnpack-20241108.4ea82e5
XNNPACK_TARBALLS='
90bde2caef0f880f627bab0dc805a86c4b8070cd98e3243db3046ab3f3be1a99  xnnpack_0.0~git20241108.4ea82e5.orig.tar.xz
4cc3cbd933b28131d2a34edc54f76af9fb41bc490af5eae1a5bd3cd07ea90708  pthreadpool_0.0~git20240616.560c60d.orig.tar.xz
7d7782b37b74136e0e12593a2a93ccbe7db831f4374cc408e44623d9b708b54e  fp16_0.0~git20200514.4dfe081.orig.tar.xz
7953482badaf4cb34026c3487c257b8e4ab2df061c019bd6fabbbc12ad52c44b  fxdiv_0.0~git20200417.b408327.orig.tar.xz'

say() { if [ -t 1 ]; then printf '\033[1m==>\033[0m %s\n' "$*"; else printf '==> %s\n' "$*"; fi; }
fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
version_at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# ---------------------------------------------------------------- what is wanted, what is missing

WANTED=" $* "
[ $# -gt 0 ] || WANTED=' native wasm web '
for component in $WANTED; do
  case $component in
    native | wasm | web | test | browsers | lint | fuzz) ;;
    *) fail "unknown component '$component'; there are: native wasm web test browsers lint fuzz" ;;
  esac
done
wants() { case $WANTED in *" $1 "*) true ;; *) false ;; esac }

DEBIAN=0 # the major version of Debian; 0 for another system
if [ -r /etc/os-release ] && have apt-get; then
  # shellcheck disable=SC1091
  DEBIAN=$(. /etc/os-release && if [ "${ID:-}" = debian ]; then echo "${VERSION_ID:-99}"; else echo 0; fi)
fi

# The root folder of an Emscripten that is new enough and already on the PATH, or nothing.
emscripten_on_path() {
  have emcc || return 0
  local root version
  root=$(dirname "$(readlink -f "$(command -v emcc)")")
  [ -f "$root/emscripten-version.txt" ] || root=$(em-config EMSCRIPTEN_ROOT 2>/dev/null) || return 0
  version=$(tr -cd '0-9.' 2>/dev/null <"$root/emscripten-version.txt") || return 0
  if version_at_least "$version" "$EMSCRIPTEN_MINIMUM"; then echo "$root"; fi
}

# A requirement is there when its probe is: a command, a file, or a header that the C++ compiler finds.
found() {
  case $1 in
    /*) [ -e "$1" ] ;;
    *.h | *.hpp) [ -e "/usr/include/$1" ] || { have c++ && echo "#include <$1>" | c++ -E -x c++ - >/dev/null 2>&1; } ;;
    *) have "$1" ;;
  esac
}

MISSING=() # Debian packages
REASONS=()
need() { # need REASON PACKAGE PROBE
  if ! found "$3" && [[ " ${MISSING[*]-} " != *" $2 "* ]]; then
    MISSING+=("$2")
    REASONS+=("$2 ($1)")
  fi
}

EMSCRIPTEN_FOUND=
FETCH_EMSCRIPTEN=no
if wants native || wants wasm; then
  need 'build system' cmake cmake
  need 'runs the build' ninja-build ninja
  [ "$DEBIAN" = 0 ] || need 'remembers what was compiled' ccache ccache
  need 'model files' nlohmann-json3-dev nlohmann/json.hpp
  need 'image decoding' libstb-dev stb/stb_image.h
fi
if wants native; then
  need 'C++20 compiler' g++ c++
  need 'command line' libcli11-dev CLI/CLI.hpp
  need 'WebP images' libwebp-dev webp/decode.h
  need 'gzipped data sets' zlib1g-dev zlib.h
fi
if wants wasm; then
  need 'runs Emscripten' python3 python3
  EMSCRIPTEN_FOUND=$(emscripten_on_path)
  if [ -z "$EMSCRIPTEN_FOUND" ] && [ "$DEBIAN" != 0 ]; then
    if [ "$DEBIAN" -ge 13 ]; then
      need 'C++ to WebAssembly' emscripten /usr/share/emscripten/emcc
    else
      FETCH_EMSCRIPTEN=yes
      for tool in clang-19:clang-19 lld-19:wasm-ld-19 llvm-19:llvm-ar-19; do
        need 'C++ to WebAssembly' "${tool%:*}" "/usr/bin/${tool#*:}"
      done
    fi
  fi
fi
if wants test; then
  need 'native tests' libgtest-dev gtest/gtest.h
  need 'tests of the page' chromium chromium
  need 'reference for image resizing' python3-pil /usr/lib/python3/dist-packages/PIL
  need 'reference numbers' python3-numpy /usr/lib/python3/dist-packages/numpy
  need 'checks that PyTorch loads our files' python3-torch /usr/lib/python3/dist-packages/torch
  need 'the checker of exported ONNX files' python3-onnx /usr/lib/python3/dist-packages/onnx
  need 'real data for the tests' dataset-fashion-mnist /usr/share/datasets/fashion-mnist
fi
if wants browsers && [ "$DEBIAN" != 0 ]; then # elsewhere the tests in a browser that is missing are skipped, and say so
  need 'tests of the page in Firefox' firefox-esr /usr/bin/firefox-esr
  need 'tests of the page in WebKit' webkit2gtk-driver /usr/bin/WebKitWebDriver
  need "WebKit's screen in the tests" xvfb /usr/bin/Xvfb
fi
if wants lint; then
  # Another version would lay the code out differently; Debian has this one under its own name.
  suffix=$([ "$DEBIAN" = 0 ] || echo -19)
  need 'C++ formatting' clang-format-19 "clang-format$suffix"
  need 'C++ linting' clang-tidy-19 "clang-tidy$suffix"
  need 'shell linting' shellcheck shellcheck
fi
if wants fuzz; then
  need 'sanitizers and fuzzing' clang-19 clang++-19
  need 'sanitizers and fuzzing' libclang-rt-19-dev "/usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.fuzzer-$(uname -m).a"
fi
FETCH_XNNPACK=no
if wants native || wants wasm; then
  if [ -n "${PINHOLE_XNNPACK_DIR:-}" ]; then
    for name in xnnpack pthreadpool fp16 fxdiv; do
      [ -d "$PINHOLE_XNNPACK_DIR/$name" ] || fail "PINHOLE_XNNPACK_DIR is $PINHOLE_XNNPACK_DIR, which has no folder '$name'; it must hold xnnpack/ pthreadpool/ fp16/ fxdiv/"
    done
  elif [ ! -d "$XNNPACK_DIR" ] && [ "$DEBIAN" != 0 ]; then
    FETCH_XNNPACK=yes # elsewhere CMake fetches it from GitHub
    need 'unpacks sources' xz-utils xz
  fi
fi

have node || fail "Node 20 or newer is needed and was not found; see https://nodejs.org"
node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' || fail "Node 20 or newer is needed; this is $(node --version)"

if [ "$DEBIAN" = 0 ]; then
  if wants wasm && [ -z "$EMSCRIPTEN_FOUND" ]; then REASONS+=("emscripten $EMSCRIPTEN_MINIMUM or newer, with emcc on the PATH"); fi
  if [ ${#REASONS[@]} -gt 0 ]; then
    printf -v list '%s, ' "${REASONS[@]}"
    fail "this system is not Debian, so please install by hand (the names are Debian's): ${list%, }."
  fi
fi

# ---------------------------------------------------------------- Debian packages

install_packages() {
  local sudo=() command list
  printf -v list '%s, ' "${REASONS[@]}"
  command="apt-get install --no-install-recommends ${MISSING[*]}"
  if [ "$(id -u)" != 0 ]; then
    { have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; } ||
      fail "Debian packages are missing and need root; run this as root, then again what you ran: $command"
    sudo=(sudo)
  fi
  say "Installing Debian packages: ${list%, }"
  # A third-party source that does not answer must not stop us: what matters is whether the install works.
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 update || true
  # An installation that was cut off is finished first.
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive dpkg --configure -a >/dev/null 2>&1 || true
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "${MISSING[@]}" >"$CACHE/apt-install.log" 2>&1 ||
    { tail -n 20 "$CACHE/apt-install.log" >&2; fail "apt-get could not install the packages (above); the command was: $command"; }
}

# ---------------------------------------------------------------- a private view of Debian 13

# Debian 13's index in the cache, read through APT_CONFIG: the system's own sources and package state are untouched, the
# mirror is the one this machine already uses, and apt checks every download against Debian's signed index.
trixie() { APT_CONFIG=$CACHE/apt/apt.conf apt-get -qq "$@"; }

read_trixie_index() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg dir=$CACHE/apt mirror
  # shellcheck disable=SC2016
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -E '/debian/?$' | head -n 1) || true
  [ -n "$mirror" ] || fail "apt has no Debian mirror to take Debian 13's packages from; add one to /etc/apt/sources.list.d and run this again"
  mkdir -p "$dir/lists/partial" "$dir/archives/partial"
  printf '%s [signed-by=%s] %s trixie main\n' deb "$keyring" "$mirror" deb-src "$keyring" "$mirror" >"$dir/sources.list"
  cat >"$dir/apt.conf" <<EOF
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$dir/lists";
Dir::State::status "/dev/null";
Dir::Cache "$dir";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
EOF
  trixie update || fail "could not read Debian 13's package index from $mirror"
}

# ---------------------------------------------------------------- Emscripten for Debian 12

# Debian 13's emscripten (it is all scripts and wasm libraries) with Debian 12's clang-19. Binaryen is a native program, so it
# runs through the loader and libraries of Debian 13 that are unpacked beside it. The result needs no environment variable.
fetch_emscripten() {
  local debs=$CACHE/downloads/emscripten new=$EMSCRIPTEN_DIR.new emscripten loader tool name
  say 'Fetching Emscripten 3.1.69 (240 MB, from Debian 13; compiles C++ to WebAssembly) into the cache'
  mkdir -p "$debs"
  (cd "$debs" && trixie download emscripten binaryen libc6 libstdc++6 libgcc-s1) || fail 'could not download Emscripten'
  rm -rf "$new"
  mkdir -p "$new/runtime" "$new/bin"
  dpkg-deb --fsys-tarfile "$debs"/emscripten_*.deb |
    tar -x -C "$new" --strip-components=3 --exclude='./usr/share/emscripten/test' --exclude='./usr/share/emscripten/docs' \
      --exclude='./usr/share/emscripten/media' --exclude='*[-_]asan*.a' --exclude='*ubsan*.a' --exclude='*lsan*.a' --exclude='*-memvalidate*' \
      --exclude='libSDL*' --exclude='libGL-*emu*' ./usr/share/emscripten
  for name in binaryen libc6 libstdc++6 libgcc-s1; do
    dpkg-deb -x "$debs/${name}"_*.deb "$new/runtime"
  done
  emscripten=$new/emscripten
  loader=$(cd "$new/runtime" && find usr/lib -name 'ld-linux-*.so.*' | head -n 1)
  for tool in "$new"/runtime/usr/bin/wasm*; do
    name=$(basename "$tool")
    cat >"$new/bin/$name" <<EOF
#!/bin/sh
exec $EMSCRIPTEN_DIR/runtime/$loader --library-path $EMSCRIPTEN_DIR/runtime/$(dirname "$loader") $EMSCRIPTEN_DIR/runtime/usr/bin/$name "\$@"
EOF
    chmod +x "$new/bin/$name"
  done
  # emcc reads .emscripten beside itself; the system's python3, because a version manager's shim would double compile times.
  cat >"$emscripten/.emscripten" <<EOF
LLVM_ROOT = '/usr/bin'
LLVM_ADD_VERSION = '19'
CLANG_ADD_VERSION = '19'
BINARYEN_ROOT = '$EMSCRIPTEN_DIR'
NODE_JS = '$(command -v node)'
FROZEN_CACHE = True
EOF
  # shellcheck disable=SC2016
  for tool in emcc em++ emar emranlib emnm em-config; do
    sed -i 's|^unset _PYTHON_SYSCONFIGDATA_NAME|&\n[ -n "$PYTHON" ] \|\| [ ! -x /usr/bin/python3 ] \|\| PYTHON=/usr/bin/python3|' "$emscripten/$tool"
  done
  # JavaScript that emcc runs: acorn always, typescript for --emit-tsd. The lock file has checked them.
  mkdir -p "$emscripten/node_modules/.bin"
  cp -R "$ROOT/node_modules/acorn" "$ROOT/node_modules/typescript" "$emscripten/node_modules/"
  ln -s ../typescript/bin/tsc "$emscripten/node_modules/.bin/tsc"
  rm -rf "$EMSCRIPTEN_DIR"
  mv "$new" "$EMSCRIPTEN_DIR"
  rm -rf "$debs"
}

# ---------------------------------------------------------------- XNNPACK's sources

fetch_xnnpack() {
  local tarballs=$CACHE/downloads/xnnpack new=$XNNPACK_DIR.new name strip
  say 'Fetching the sources of XNNPACK and pthreadpool (3 MB, from Debian 13; fast convolutions and threads) into the cache'
  mkdir -p "$tarballs"
  (cd "$tarballs" && trixie source --tar-only --download-only xnnpack pthreadpool fp16 fxdiv) || fail "could not download XNNPACK's sources"
  (cd "$tarballs" && sed '/^$/d' <<<"$XNNPACK_TARBALLS" | sha256sum --check --quiet --strict) ||
    fail "XNNPACK's sources are not the ones this version of Pinhole was made for; remove $tarballs and try again"
  rm -rf "$new"
  for name in xnnpack pthreadpool fp16 fxdiv; do
    mkdir -p "$new/$name"
    strip=1
    [ "$name" != xnnpack ] || strip=0
    tar -xJf "$tarballs/${name}"_*.orig.tar.xz -C "$new/$name" --strip-components=$strip --exclude=test --exclude=bench
  done
  mv "$new" "$XNNPACK_DIR"
  rm -rf "$tarballs"
}

# ---------------------------------------------------------------- the steps

mkdir -p "$CACHE"
[ ${#MISSING[@]} -eq 0 ] || install_packages

if wants native || wants wasm || wants web || wants test || wants lint; then
  have npm || fail 'npm is needed and was not found; it comes with Node'
  if [ ! "$ROOT/node_modules/.package-lock.json" -nt "$ROOT/package-lock.json" ]; then
    say 'Installing npm packages (the page, its build and its tests) into node_modules'
    (cd "$ROOT" && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error)
    touch "$ROOT/node_modules/.package-lock.json"
  fi
fi
# One set-up at a time writes to the cache.
if [ "$FETCH_XNNPACK" = yes ] || { [ "$FETCH_EMSCRIPTEN" = yes ] && [ ! -d "$EMSCRIPTEN_DIR" ]; }; then
  exec 9>"$CACHE/setup.lock"
  flock 9
  read_trixie_index
  if [ "$FETCH_XNNPACK" = yes ] && [ ! -d "$XNNPACK_DIR" ]; then fetch_xnnpack; fi
  if [ "$FETCH_EMSCRIPTEN" = yes ] && [ ! -d "$EMSCRIPTEN_DIR" ]; then fetch_emscripten; fi
  rm -rf "$CACHE/apt" "$CACHE/downloads"
fi
# emcc must not see /usr/include: the header-only libraries get a folder of their own.
copy_header_folder() { # copy_header_folder nlohmann/json.hpp: the folder nlohmann
  local header=/usr/include/$1 copy=$CACHE/include/$1
  [ -e "$header" ] || header=$(echo "#include <$1>" | c++ -M -x c++ - | tr ' ' '\n' | grep -m 1 "/$1\$") || return 0
  if [ ! "$copy" -nt "$header" ]; then
    rm -rf "$(dirname "$copy")"
    mkdir -p "$CACHE/include"
    cp -R "$(dirname "$header")" "$CACHE/include/"
    touch "$copy"
  fi
}
if wants wasm; then
  copy_header_folder nlohmann/json.hpp
  copy_header_folder stb/stb_image.h
fi
