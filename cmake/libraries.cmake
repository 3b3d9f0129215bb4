# Third-party libraries, all from Debian, and the functions that declare ours.
option(CHAPPE_STATIC "Make chappe-worker so that it runs in any image: nothing of it is loaded" OFF)
if(CHAPPE_STATIC)
  include(static)
endif()
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CURL REQUIRED)  # Its header; proto/http/lazy_curl.cc loads the library.
set(Protobuf_USE_STATIC_LIBS ON)
find_package(Protobuf REQUIRED)
find_package(Boost REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(date REQUIRED)
if(NOT CHAPPE_STATIC)
  find_package(prometheus-cpp REQUIRED)
endif()
find_package(Threads REQUIRED)

# chappe_linked_in(NAME LIBRARY...): archives first, then whatever they need. The loader maps every shared library and
# looks up every name that it uses, at each start: linking in what has many names, and what brings many libraries with it
# (libzmq 12, libarchive 11), saves two fifths of the time from exec to main. protobuf::libprotobuf is static by the
# setting above.
function(chappe_linked_in name)
  add_library(chappe_${name} INTERFACE)
  foreach(library ${ARGN})
    if(library MATCHES "[.]a$")
      find_library(${library}_FOUND NAMES ${library} REQUIRED)
      set(library ${${library}_FOUND})
    endif()
    target_link_libraries(chappe_${name} INTERFACE ${library})
  endforeach()
endfunction()
add_link_options(-Wl,--gc-sections)  # With what nobody calls goes what it would need: libarchive's XML, for one.
find_package(ZLIB REQUIRED)
set_property(TARGET protobuf::libprotobuf APPEND PROPERTY INTERFACE_LINK_LIBRARIES ZLIB::ZLIB)
chappe_linked_in(sqlite_engine libsqlite3.a m ${CMAKE_DL_LIBS})
chappe_linked_in(yaml libyaml-cpp.a)
chappe_linked_in(xml libpugixml.a)
chappe_linked_in(sha libnettle.a)
chappe_linked_in(log spdlog::spdlog_header_only)  # One source has it.
add_library(chappe_absent STATIC ${CMAKE_SOURCE_DIR}/cmake/absent.c)
target_compile_options(chappe_absent PRIVATE -w)
chappe_linked_in(zeromq libzmq.a libsodium.a libpgm.a chappe_absent libbsd.a libmd.a)
chappe_linked_in(archive libarchive.a libzstd.a liblz4.a libacl.a libnettle.a ZLIB::ZLIB)

add_library(chappe_format INTERFACE)
add_library(chappe_zones INTERFACE)
add_library(chappe_prometheus INTERFACE)
if(CHAPPE_STATIC)
  chappe_link_statically()
else()
  target_link_libraries(chappe_format INTERFACE fmt::fmt)
  chappe_linked_in(curl ${CMAKE_DL_LIBS})
  target_link_libraries(chappe_zones INTERFACE date::date-tz)
  target_link_libraries(chappe_prometheus INTERFACE prometheus-cpp::core prometheus-cpp::pull)
endif()

# Every program has our libraries' base in it, and with that what the sanitizers are to do.
if(CHAPPE_SANITIZE AND NOT CHAPPE_FUZZ)
  set(CHAPPE_SANITIZER_REPORTS ${CMAKE_BINARY_DIR}/reports)
  file(MAKE_DIRECTORY ${CHAPPE_SANITIZER_REPORTS})
  file(READ ${CMAKE_SOURCE_DIR}/tests/tsan.supp CHAPPE_TSAN_SUPPRESSIONS)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/tsan.supp)
  configure_file(cmake/sanitizer_options.cc.in ${CMAKE_BINARY_DIR}/generated/sanitizer_options.cc @ONLY)
  add_library(chappe_sanitizer_options OBJECT ${CMAKE_BINARY_DIR}/generated/sanitizer_options.cc)
  target_link_libraries(chappe_format INTERFACE $<TARGET_OBJECTS:chappe_sanitizer_options>)
endif()

# chappe_library(NAME FOLDER LIBRARY...): everything of one folder but main.cc. Names without a target of that name
# mean ours.
function(chappe_library name folder)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  if(CHAPPE_STATIC)
    list(FILTER sources EXCLUDE REGEX "/lazy_curl\\.cc$")  # There is nothing to load.
    list(FILTER sources EXCLUDE REGEX "/zone_database\\.cc$")  # engine/calendar/absent is in its place.
  endif()
  set(links)
  foreach(library ${ARGN})
    if(TARGET chappe_${library})
      list(APPEND links chappe_${library})
    else()
      list(APPEND links ${library})
    endif()
  endforeach()
  if(sources)
    add_library(chappe_${name} STATIC ${sources})
    target_include_directories(chappe_${name} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(chappe_${name} PUBLIC ${links} Threads::Threads)
  else()
    add_library(chappe_${name} INTERFACE)
    target_include_directories(chappe_${name} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(chappe_${name} INTERFACE ${links} Threads::Threads)
  endif()
endfunction()

# chappe_embed(LIBRARY FILE SYMBOL): the file's bytes as `extern "C" const char SYMBOL[], SYMBOL_end[]`.
enable_language(ASM)
function(chappe_embed name file symbol)
  get_target_property(type chappe_${name} TYPE)
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${file} OR type STREQUAL "INTERFACE_LIBRARY")
    return()
  endif()
  set(assembly ${CMAKE_BINARY_DIR}/embedded/${symbol}.S)
  file(WRITE ${assembly}.new ".section .rodata\n.global ${symbol}\n.global ${symbol}_end\n${symbol}:\n\
.incbin \"${CMAKE_SOURCE_DIR}/${file}\"\n${symbol}_end:\n.byte 0\n.section .note.GNU-stack,\"\",%progbits\n")
  configure_file(${assembly}.new ${assembly} COPYONLY)
  set_source_files_properties(${assembly} PROPERTIES OBJECT_DEPENDS ${CMAKE_SOURCE_DIR}/${file} COMPILE_OPTIONS "-w")
  target_sources(chappe_${name} PRIVATE ${assembly})
endfunction()

# chappe_embed_program(LIBRARY FILE SYMBOL): the same of what the C file is compiled to: a program that needs no library.
function(chappe_embed_program name file symbol)
  set(program ${CMAKE_BINARY_DIR}/embedded/${symbol}.elf)
  set(assembly ${CMAKE_BINARY_DIR}/embedded/${symbol}.S)
  add_custom_command(
    OUTPUT ${program}
    COMMAND ${CMAKE_C_COMPILER} -Os -static -nostdlib -ffreestanding -fno-builtin -fno-stack-protector -fno-pie -no-pie
      -Wall -Wextra -Werror -Wl,--build-id=none -Wl,-z,noexecstack -s -o ${program} ${CMAKE_SOURCE_DIR}/${file}
    DEPENDS ${CMAKE_SOURCE_DIR}/${file})
  file(WRITE ${assembly}.new ".section .rodata\n.global ${symbol}\n.global ${symbol}_end\n${symbol}:\n\
.incbin \"${program}\"\n${symbol}_end:\n.byte 0\n.section .note.GNU-stack,\"\",%progbits\n")
  configure_file(${assembly}.new ${assembly} COPYONLY)
  set_source_files_properties(${assembly} PROPERTIES OBJECT_DEPENDS ${program} COMPILE_OPTIONS "-w")
  target_sources(chappe_${name} PRIVATE ${assembly} ${program})
endfunction()

# chappe_protobuf(NAME FILE): generated code, compiled without our warnings.
function(chappe_protobuf name file)
  cmake_path(REPLACE_EXTENSION file LAST_ONLY ".pb" OUTPUT_VARIABLE stem)
  set(out ${CMAKE_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${out})
  add_custom_command(
    OUTPUT ${out}/${stem}.cc ${out}/${stem}.h
    COMMAND protobuf::protoc --cpp_out=${out} -I${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/${file}
    DEPENDS ${CMAKE_SOURCE_DIR}/${file})
  add_library(chappe_${name} STATIC ${out}/${stem}.cc)
  target_compile_options(chappe_${name} PRIVATE -w)
  target_include_directories(chappe_${name} SYSTEM PUBLIC ${out})
  target_link_libraries(chappe_${name} PUBLIC protobuf::libprotobuf)
endfunction()
