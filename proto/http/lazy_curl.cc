/// \file
/// libcurl's functions, so far as this folder calls them, each of which loads the library when it is first called. It
/// brings many others, whose loading shows in the time from exec to main: whoever speaks to nobody shall not wait for
/// them. Each throws std::runtime_error where the library is missing: the first call is made in with_library()
/// (curl_library.h).
#include <curl/curl.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdarg>
#include <stdexcept>

namespace {

void* library() {
  static void* const loaded = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) throw std::runtime_error(fmt::format("load libcurl: {}", ::dlerror()));
  return loaded;
}

template <typename Function>
Function* find(const char* name) {
  void* const found = ::dlsym(library(), name);
  if (found == nullptr) throw std::runtime_error(fmt::format("load libcurl: {}", ::dlerror()));
  return reinterpret_cast<Function*>(found);
}

// Options and answers are all of a register's width, whatever their type.
static_assert(sizeof(long) == sizeof(void*) && sizeof(curl_off_t) == sizeof(void*));

}  // namespace

extern "C" {

CURLcode curl_global_init(long flags) {
  static auto* const call = find<CURLcode(long)>("curl_global_init");
  return call(flags);
}

CURL* curl_easy_init() {
  static auto* const call = find<CURL*()>("curl_easy_init");
  return call();
}

CURLcode curl_easy_setopt(CURL* easy, CURLoption option, ...) {
  static auto* const call = find<CURLcode(CURL*, CURLoption, ...)>("curl_easy_setopt");
  std::va_list rest;
  va_start(rest, option);
  void* const value = va_arg(rest, void*);
  va_end(rest);
  return call(easy, option, value);
}

CURLcode curl_easy_getinfo(CURL* easy, CURLINFO info, ...) {
  static auto* const call = find<CURLcode(CURL*, CURLINFO, ...)>("curl_easy_getinfo");
  std::va_list rest;
  va_start(rest, info);
  void* const answer = va_arg(rest, void*);
  va_end(rest);
  return call(easy, info, answer);
}

CURLcode curl_easy_perform(CURL* easy) {
  static auto* const call = find<CURLcode(CURL*)>("curl_easy_perform");
  return call(easy);
}

void curl_easy_reset(CURL* easy) {
  static auto* const call = find<void(CURL*)>("curl_easy_reset");
  call(easy);
}

void curl_easy_cleanup(CURL* easy) {
  static auto* const call = find<void(CURL*)>("curl_easy_cleanup");
  call(easy);
}

const char* curl_easy_strerror(CURLcode code) {
  static auto* const call = find<const char*(CURLcode)>("curl_easy_strerror");
  return call(code);
}

curl_slist* curl_slist_append(curl_slist* list, const char* line) {
  static auto* const call = find<curl_slist*(curl_slist*, const char*)>("curl_slist_append");
  return call(list, line);
}

void curl_slist_free_all(curl_slist* list) {
  static auto* const call = find<void(curl_slist*)>("curl_slist_free_all");
  call(list);
}

}  // extern "C"
