#include "proto/http/client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>

#include "engine/base/assert.h"
#include "proto/http/addresses.h"
#include "proto/http/curl_library.h"

namespace chappe::http {
namespace {

constexpr std::size_t kHeaderBytesMax = 64 << 10;
constexpr long kBufferBytes = 512 << 10;       // curl's own 16 KiB cost a third of the speed on loopback.
constexpr long kSocketBufferBytes = 64 << 10;  // On a Unix socket, where many answers may be open at a time.

struct EasyCleanup {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct ListCleanup {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EasyCleanup>;
using List = std::unique_ptr<curl_slist, ListCleanup>;

// Before the first handle of the process; libcurl wants it once.
void initialise_once() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
  CHAPPE_ASSERT(done == CURLE_OK);
}

template <typename Value>
void set(CURL* easy, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  CHAPPE_ASSERT(code == CURLE_OK);  // Wrong only when this file is, or memory is gone.
}

/// One exchange while it runs: what libcurl's callbacks read and fill.
struct Exchange {
  const Request& request;
  const BodySink* sink;
  CURL* easy;
  Response response{};
  std::size_t header_bytes = 0;
  bool headers_ended = false;
  std::size_t sent = 0;
  bool body_too_long = false;
  bool source_gave_up = false;
  bool address_refused = false;
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool goes_to_sink(const Exchange& exchange) {
  if (exchange.sink == nullptr) return false;
  long status = 0;
  curl_easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &status);
  const int wanted = exchange.request.sink_status;
  return wanted == 0 ? status >= 200 && status < 300 : status == wanted;
}

void tell_head(Exchange& exchange) {
  long status = 0;
  curl_easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &status);
  exchange.response.status = static_cast<int>(status);
  exchange.request.on_head(exchange.response);
}

std::size_t take_header(char* data, std::size_t, std::size_t size, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  const std::string_view line(data, size);
  exchange.header_bytes += size;
  if (exchange.header_bytes > kHeaderBytesMax) return 0;
  if (line.starts_with("HTTP/")) exchange.response.headers.clear();  // After a 100, the real answer begins.
  exchange.headers_ended = trimmed(line).empty();
  const auto colon = line.find(':');
  if (colon != std::string_view::npos) {
    exchange.response.headers.emplace_back(lower(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
  }
  if (exchange.headers_ended && exchange.request.on_head && goes_to_sink(exchange)) tell_head(exchange);
  return size;
}

std::size_t take_body(char* data, std::size_t, std::size_t size, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  if (goes_to_sink(exchange)) {
    if ((*exchange.sink)(std::as_bytes(std::span(data, size)))) return size;
    exchange.response.stopped = true;
    return CURL_WRITEFUNC_ERROR;
  }
  if (exchange.response.body.size() + size > exchange.request.body_bytes_max) {
    exchange.body_too_long = true;
    return CURL_WRITEFUNC_ERROR;
  }
  exchange.response.body.append(data, size);
  return size;
}

std::size_t give_body(char* data, std::size_t, std::size_t size, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  if (exchange.request.source) {
    const auto given = exchange.request.source(std::as_writable_bytes(std::span(data, size)));
    exchange.source_gave_up = !given.has_value();
    return given.value_or(CURL_READFUNC_ABORT);
  }
  const auto piece = exchange.request.body.subspan(exchange.sent);
  const std::size_t length = std::min(size, piece.size());
  if (length > 0) std::memcpy(data, piece.data(), length);
  exchange.sent += length;
  return length;
}

// libcurl begins again where a kept connection turned out to be dead.
int rewind_body(void* user, curl_off_t offset, int origin) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  if (exchange.request.source || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  exchange.sent = static_cast<std::size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int look_whether_stopped(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return *static_cast<const std::atomic<bool>*>(user) ? 1 : 0;
}

/// The last moment at which the address is known and nothing is sent.
curl_socket_t open_guarded_socket(void* user, curlsocktype, curl_sockaddr* address) {
  if (is_for_the_machine_alone(address->addr)) {
    static_cast<Exchange*>(user)->address_refused = true;
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

bool is_loopback(const std::string& url) {
  for (const std::string_view host : {"//127.", "//localhost:", "//localhost/", "//[::1]"}) {
    if (url.find(host) != std::string::npos) return true;
  }
  return url.ends_with("//localhost");
}

void apply_limits(CURL* easy, const Request& request) {
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
  set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  set(easy, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(request.speed_min));
  set(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_timeout.count()));
}

// Nothing that libcurl would do by itself, bar keeping connections.
void apply_policy(CURL* easy, const ClientOptions& options, const Request& request) {
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_PATH_AS_IS, 1L);
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  const long buffer_bytes = options.unix_socket.empty() ? kBufferBytes : kSocketBufferBytes;
  set(easy, CURLOPT_BUFFERSIZE, buffer_bytes);
  set(easy, CURLOPT_UPLOAD_BUFFERSIZE, buffer_bytes);
  if (!options.unix_socket.empty()) set(easy, CURLOPT_UNIX_SOCKET_PATH, options.unix_socket.c_str());
  set(easy, CURLOPT_USERAGENT, options.user_agent.c_str());
  if (!options.ca_file.empty()) set(easy, CURLOPT_CAINFO, options.ca_file.c_str());
  if (!options.proxy_of_environment || is_loopback(request.url)) set(easy, CURLOPT_PROXY, "");
}

void apply_body(CURL* easy, Exchange& exchange) {
  const Request& request = exchange.request;
  const bool has_body = request.source || !request.body.empty();
  const bool expects_body = request.method == "PUT" || request.method == "POST" || request.method == "PATCH";
  if (request.method == "HEAD") set(easy, CURLOPT_NOBODY, 1L);
  if (has_body || expects_body) {
    set(easy, CURLOPT_UPLOAD, 1L);
    set(easy, CURLOPT_READFUNCTION, &give_body);
    set(easy, CURLOPT_READDATA, &exchange);
    set(easy, CURLOPT_SEEKFUNCTION, &rewind_body);
    set(easy, CURLOPT_SEEKDATA, &exchange);
    const auto known = request.source ? request.source_size : std::optional<std::uint64_t>(request.body.size());
    set(easy, CURLOPT_INFILESIZE_LARGE, known ? static_cast<curl_off_t>(*known) : curl_off_t{-1});
  }
  set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

List header_list(const Request& request) {
  List list(curl_slist_append(nullptr, "Expect:"));  // No round trip before a body.
  for (const auto& [name, value] : request.headers) {
    const std::string line = value.empty() ? name + ";" : name + ": " + value;
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    CHAPPE_ASSERT(longer != nullptr);
  }
  return list;
}

ErrorCode code_of(CURLcode code) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return ErrorCode::kInvalidInput;
    default:
      return ErrorCode::kUnavailable;
  }
}

// A presigned URL carries a signature in its query: errors name the address without it.
std::string_view without_query(std::string_view url) { return url.substr(0, url.find('?')); }

Failure failure(const Exchange& exchange, CURLcode code, const char* detail) {
  const auto place = fmt::format("{} {}", exchange.request.method, without_query(exchange.request.url));
  if (exchange.address_refused) {
    return fail(ErrorCode::kPermissionDenied, place + ": the address is link-local, or serves a machine's metadata");
  }
  if (exchange.body_too_long) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: the answer is longer than {} bytes", place, exchange.request.body_bytes_max));
  }
  if (code == CURLE_OK) return fail(ErrorCode::kUnavailable, place + ": the answer broke off within its headers");
  if (exchange.source_gave_up) return fail(ErrorCode::kInvalidInput, place + ": the body could not be read");
  if (code == CURLE_ABORTED_BY_CALLBACK) return fail(ErrorCode::kUnavailable, place + ": stopped");
  return fail(code_of(code), fmt::format("{}: {}", place, *detail != '\0' ? detail : curl_easy_strerror(code)));
}

// A line break in a header would begin a second one.
bool has_line_break(const Headers& headers) {
  return std::any_of(headers.begin(), headers.end(), [](const auto& header) {
    return (header.first + header.second).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos;
  });
}

}  // namespace

std::string_view Response::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const auto& h) { return h.first == name; });
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

/// Handles at rest, each with its open connection; the most recently used first.
class Client::Pool {
 public:
  explicit Pool(std::size_t idle_max) : idle_max_(idle_max) {}

  /// Errors: kInvalidInput: libcurl is not there.
  Result<Easy> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        Easy easy = std::move(idle_.back());
        idle_.pop_back();
        return easy;
      }
    }
    return with_library([] {
      initialise_once();
      Easy easy(curl_easy_init());
      CHAPPE_ASSERT(easy != nullptr);
      return easy;
    });
  }

  void give_back(Easy easy) {
    curl_easy_reset(easy.get());  // Keeps the connections.
    const std::lock_guard lock(mutex_);
    if (idle_.size() < idle_max_) idle_.push_back(std::move(easy));
  }

 private:
  std::size_t idle_max_;
  std::mutex mutex_;
  std::vector<Easy> idle_;
};

Client::Client(ClientOptions options)
    : options_(std::move(options)), pool_(std::make_unique<Pool>(options_.idle_max)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<Response> Client::send(const Request& request) { return exchange(request, nullptr); }

Result<Response> Client::stream(const Request& request, const BodySink& sink) { return exchange(request, &sink); }

Result<Response> Client::exchange(const Request& request, const BodySink* sink) {
  if (has_line_break(request.headers)) return fail(ErrorCode::kInvalidInput, "a request header holds a line break");
  if (options_.guarded && names_the_machine_alone(request.url)) {
    return fail(
        ErrorCode::kPermissionDenied,
        fmt::format("{}: the address is link-local, or serves a machine's metadata", without_query(request.url)));
  }
  Result<Easy> taken = pool_->take();
  if (!taken) return fail(std::move(taken.error()));
  Easy easy = *std::move(taken);
  CURL* const handle = easy.get();
  Exchange exchange{.request = request, .sink = sink, .easy = handle};
  std::array<char, CURL_ERROR_SIZE> detail{};
  const List headers = header_list(request);

  apply_policy(handle, options_, request);
  apply_limits(handle, request);
  apply_body(handle, exchange);
  set(handle, CURLOPT_URL, request.url.c_str());
  set(handle, CURLOPT_HTTPHEADER, headers.get());
  set(handle, CURLOPT_HEADERFUNCTION, &take_header);
  set(handle, CURLOPT_HEADERDATA, &exchange);
  set(handle, CURLOPT_WRITEFUNCTION, &take_body);
  set(handle, CURLOPT_WRITEDATA, &exchange);
  set(handle, CURLOPT_ERRORBUFFER, detail.data());
  if (request.stopped != nullptr) {
    set(handle, CURLOPT_NOPROGRESS, 0L);
    set(handle, CURLOPT_XFERINFOFUNCTION, &look_whether_stopped);
    set(handle, CURLOPT_XFERINFODATA, request.stopped);
  }
  if (options_.guarded) {
    set(handle, CURLOPT_OPENSOCKETFUNCTION, &open_guarded_socket);
    set(handle, CURLOPT_OPENSOCKETDATA, &exchange);
  }

  const CURLcode code = curl_easy_perform(handle);
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  exchange.response.status = static_cast<int>(status);
  const char* redirect = nullptr;
  curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &redirect);
  if (redirect != nullptr) exchange.response.redirect = redirect;
  pool_->give_back(std::move(easy));
  // libcurl takes an answer without a body for whole wherever it ends.
  const bool is_whole = code == CURLE_OK && exchange.headers_ended;
  if (!is_whole && !exchange.response.stopped) return failure(exchange, code, detail.data());
  return std::move(exchange.response);
}

}  // namespace chappe::http
