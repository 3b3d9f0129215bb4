# Third-party libraries, all from Debian, and the functions that declare ours.
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)  # Its header; proto/http/lazy_curl.cc loads the library.
set(Protobuf_USE_STATIC_LIBS ON)
find_package(Protobuf REQUIRED)
find_package(Boost REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(date REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)

# The loader looks up every name that a shared library uses, at each start. So those with the most names are linked in:
# it saves a fifth of the time from exec to main. protobuf::libprotobuf is static by the setting above.
function(chappe_linked_in name file)
  find_library(${name}_ARCHIVE NAMES ${file} REQUIRED)
  add_library(chappe_${name} INTERFACE)
  target_link_libraries(chappe_${name} INTERFACE ${${name}_ARCHIVE} ${ARGN})
endfunction()
find_package(ZLIB REQUIRED)
set_property(TARGET protobuf::libprotobuf APPEND PROPERTY INTERFACE_LINK_LIBRARIES ZLIB::ZLIB)
chappe_linked_in(sqlite_engine libsqlite3.a m ${CMAKE_DL_LIBS})
chappe_linked_in(yaml libyaml-cpp.a)
chappe_linked_in(xml libpugixml.a)

add_library(chappe_zeromq INTERFACE)
target_link_libraries(chappe_zeromq INTERFACE PkgConfig::ZMQ)
add_library(chappe_archive INTERFACE)
target_link_libraries(chappe_archive INTERFACE PkgConfig::ARCHIVE)

# chappe_library(NAME FOLDER LIBRARY...): everything of one folder but main.cc. Names without a target of that name
# mean ours.
function(chappe_library name folder)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
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
