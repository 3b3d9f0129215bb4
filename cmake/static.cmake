# A chappe-worker of which nothing is loaded at run time, from Debian's static libraries. `cmake --preset static`.
#
# Debian has no archives of Prometheus' client, date-tz and fmt: fmt is used by its headers, the metrics of a worker that
# was made so are counted by nobody (proto/metrics/absent), and what names zones is not linked in. Of Kerberos, LDAP,
# RTMP and NORM there are none that link; libcurl and libzmq refer to them for protocols that we never let them speak
# (cmake/absent.c).
set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
set(OPENSSL_USE_STATIC_LIBS ON)
add_compile_options(-ffunction-sections -fdata-sections)

function(chappe_link_statically)
  foreach(name sodium pgm bsd md nghttp2 idn2 unistring psl ssh2 brotlidec brotlicommon zstd lz4 acl)
    find_library(STATIC_${name} NAMES lib${name}.a REQUIRED)
  endforeach()
  add_library(chappe_absent STATIC ${CMAKE_SOURCE_DIR}/cmake/absent.c)
  target_compile_options(chappe_absent PRIVATE -w)
  target_link_libraries(chappe_format INTERFACE fmt::fmt-header-only)
  target_link_libraries(chappe_log INTERFACE spdlog::spdlog_header_only)
  target_link_libraries(chappe_zones INTERFACE date::date)
  target_link_libraries(chappe_zeromq INTERFACE ${STATIC_sodium} ${STATIC_pgm} chappe_absent ${STATIC_bsd} ${STATIC_md})
  target_link_libraries(chappe_curl INTERFACE CURL::libcurl ${STATIC_nghttp2} ${STATIC_psl} ${STATIC_idn2}
    ${STATIC_unistring} ${STATIC_ssh2} OpenSSL::SSL OpenSSL::Crypto ${STATIC_brotlidec} ${STATIC_brotlicommon}
    ${STATIC_zstd} ZLIB::ZLIB chappe_absent)
  target_link_libraries(chappe_archive INTERFACE ${STATIC_zstd} ${STATIC_lz4} ${STATIC_acl} OpenSSL::Crypto ZLIB::ZLIB)
  add_link_options(-static-pie -Wl,--gc-sections -s)
endfunction()
