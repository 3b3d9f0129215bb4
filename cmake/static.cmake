# A chappe-worker of which nothing is loaded at run time, from Debian's static libraries. `cmake --preset static`.
#
# Debian has no archives of Prometheus' client, date-tz and fmt: fmt is used by its headers, the metrics of a worker that
# was made so are counted by nobody (proto/metrics/absent), and it knows no zones (engine/calendar/absent). Of Kerberos, LDAP,
# RTMP and NORM there are none that link; libcurl and libzmq refer to them for protocols that we never let them speak
# (cmake/absent.c).
set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
set(OPENSSL_USE_STATIC_LIBS ON)
add_compile_options(-ffunction-sections -fdata-sections)

function(chappe_link_statically)
  find_package(OpenSSL REQUIRED)
  chappe_linked_in(curl libcurl.a libnghttp2.a libpsl.a libidn2.a libunistring.a libssh2.a OpenSSL::SSL OpenSSL::Crypto
    libbrotlidec.a libbrotlicommon.a libzstd.a ZLIB::ZLIB chappe_absent)
  target_link_libraries(chappe_format INTERFACE fmt::fmt-header-only)
  target_link_libraries(chappe_zones INTERFACE date::date)
  add_link_options(-static-pie -s)
endfunction()
