# Compiler, warnings and hardening: the same for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# A source is mostly the headers that it includes: ten sources compiled as one take twice the time of one.
set(CMAKE_UNITY_BUILD ON)
set(CMAKE_UNITY_BUILD_BATCH_SIZE 10)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")  # No -DNDEBUG: assertions stay on.
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1 -D_GLIBCXX_ASSERTIONS")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Wformat=2)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports false positives of these in libstdc++ at -O2.
  add_compile_options(-Werror -Wduplicated-cond -Wlogical-op -Wno-restrict -Wno-maybe-uninitialized -Wno-dangling-pointer
    -Wno-missing-field-initializers -Wno-subobject-linkage)  # The last one sees headers in a unit's sources.
else()
  # libcurl's own signatures have an enumeration before the dots: it is passed on as the integer that it is.
  add_compile_options(-Wno-missing-field-initializers -Wno-varargs)
endif()

# The fuzz targets of tests/fuzz, and nothing else that is a test. Needs clang, which has libFuzzer.
option(CHAPPE_FUZZ "Build the fuzz targets as libFuzzer programs" OFF)
if(CHAPPE_FUZZ)
  add_compile_options(-O1 -fsanitize=fuzzer-no-link)
  add_compile_definitions(CHAPPE_FUZZ)
endif()

set(CHAPPE_SANITIZE "" CACHE STRING "address,undefined or thread")
if(CHAPPE_SANITIZE)
  add_compile_options(-fsanitize=${CHAPPE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CHAPPE_SANITIZE})
  if(CHAPPE_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)  # Boost.Asio has fences that the sanitizer does not see; none guards our data.
  endif()
else()
  add_compile_options(-fstack-protector-strong -fstack-clash-protection -fcf-protection=full
    -ftrivial-auto-var-init=zero)
  add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS
      -fno-delete-null-pointer-checks -fno-strict-overflow)
  endif()
endif()
