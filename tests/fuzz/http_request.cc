// The API as bytes on a connection, over stores that hold a little of everything: whatever comes, each answer is whole,
// its JSON is JSON, its head has the fields that we send and no others, and the connection ends when its peer does.
// Where the input begins with 'T', a token is asked for that nobody knows: nothing but the health bits is told.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "proto/json/json.h"
#include "scheduler/api/session.h"
#include "storage/digest/digest.h"
#include "tests/fuzz/api_stores.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

namespace {

using namespace api;
namespace net = boost::asio;

constexpr std::size_t kInputMax = 32 * 1024;  // Fits the socket's buffer: nobody waits for anybody.
constexpr auto kStuck = std::chrono::seconds(20);
class World {
 public:
  World() {
    shared_.reset(new Shared{.backend = stores_.backend(),
                             .logs = stores_.logs,
                             .views = {},
                             .watches = {},
                             .bounds = {},
                             .tokens = {},
                             .denials = Denials(stores_.backend()),
                             .wrong_tokens = Allowances({.burst = 1e12, .one_more = std::chrono::seconds(1)}),
                             .deliveries = Allowances({.burst = 1e12, .one_more = std::chrono::seconds(1)}),
                             .webhooks = WebhookSecrets("nobody knows this either"),
                             .mailbox = std::make_shared<Mailbox>(io_),
                             .metadata = &metadata_,
                             .objects = &objects_,
                             .seconds = stores_.backend().metrics().seconds("s", "")});
  }

  /// All that the peer of a connection hears that says `input` and no more.
  std::string answers(std::string_view input, bool with_token) {
    shared_->tokens = std::make_shared<TokenBook>(with_token ? "nobody knows this" : "", std::vector<TokenRow>{});
    std::array<int, 2> ends{};
    CHAPPE_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    CHAPPE_ASSERT(::send(ends[0], input.data(), input.size(), 0) == static_cast<ssize_t>(input.size()));
    ::shutdown(ends[0], SHUT_WR);
    std::string heard;
    serve(ends[1], ends[0], heard);
    ::close(ends[0]);
    return heard;
  }

 private:
  void serve(int ours, int peers, std::string& heard) {
    bool is_closed = false;
    net::ip::tcp::socket socket(io_);
    socket.assign(net::ip::tcp::v4(), ours);
    const auto session = std::make_shared<Session>(std::move(socket), "::1", *shared_, [&] { is_closed = true; });
    session->start();
    const auto end = std::chrono::steady_clock::now() + kStuck;
    while (!is_closed) {
      CHAPPE_ASSERT(std::chrono::steady_clock::now() < end);
      io_.restart();
      io_.run_one_for(std::chrono::milliseconds(100));
      hear(peers, heard);
    }
    io_.restart();
    io_.poll();  // What was cancelled says so, while `is_closed` still stands.
    hear(peers, heard);
  }

  void hear(int peer, std::string& heard) {
    for (ssize_t size = 0; (size = ::recv(peer, piece_.data(), piece_.size(), MSG_DONTWAIT)) > 0;) {
      heard.append(piece_.data(), static_cast<std::size_t>(size));
    }
  }

  std::array<char, 65536> piece_{};
  Stores stores_;
  net::io_context io_{1};
  ReaderPool metadata_{stores_.backend(), 1, 64};
  ReaderPool objects_{stores_.backend(), 1, 64};
  std::unique_ptr<Shared> shared_;  ///< It holds mutexes: it is made where it stays.
};

struct Head {
  int status = 0;
  std::string type;
  std::size_t length = 0;
  bool chunked = false;
};

Head read_head(std::string_view text) {
  constexpr std::array<std::string_view, 18> kKnown = {"Server",
                                                       "Content-Type",
                                                       "X-Content-Type-Options",
                                                       "Content-Security-Policy",
                                                       "Content-Disposition",
                                                       "Cross-Origin-Resource-Policy",
                                                       "Referrer-Policy",
                                                       "Cache-Control",
                                                       "Connection",
                                                       "Content-Length",
                                                       "Transfer-Encoding",
                                                       "ETag",
                                                       "Location",
                                                       "Allow",
                                                       "WWW-Authenticate",
                                                       "Retry-After",
                                                       "Link",
                                                       "Log-Offset"};
  Head head;
  const std::string_view line = take_until(text, '\n');
  CHAPPE_ASSERT(line.starts_with("HTTP/1.1 ") && line.ends_with('\r'));
  CHAPPE_ASSERT(std::from_chars(line.data() + 9, line.data() + 12, head.status).ec == std::errc());
  while (!text.empty()) {
    std::string_view value = take_until(text, '\n');
    const std::string_view name = take_until(value, ':');
    CHAPPE_ASSERT(std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end());
    value = value.substr(1, value.find('\r') - 1);
    if (name == "Content-Type") head.type = value;
    if (name == "Content-Length") std::from_chars(value.data(), value.data() + value.size(), head.length);
    if (name == "Transfer-Encoding") head.chunked = true;
  }
  return head;
}

void check_answer(const Head& head, std::string_view body, bool with_token) {
  CHAPPE_ASSERT(head.status >= 200 && head.status < 600 && head.status != 500);
  if (with_token && head.status < 400) CHAPPE_ASSERT(body.starts_with("{\"status\":\""));
  if (!head.type.starts_with("application/") || head.type.find("json") == std::string::npos) return;
  const auto value = parse_json(body);
  CHAPPE_ASSERT(value);
  if (head.status >= 400) CHAPPE_ASSERT(*value->find("status") == Value(head.status));
}

void check_answers(std::string_view rest, bool with_token) {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  while (!rest.empty()) {
    while (rest.starts_with(kContinue)) rest.remove_prefix(kContinue.size());
    const std::size_t end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) return;  // The connection was closed over it: the peer had gone.
    const Head head = read_head(rest.substr(0, end + 2));
    rest.remove_prefix(end + 4);
    if (head.chunked || head.length > rest.size()) return;
    check_answer(head, rest.substr(0, head.length), with_token);
    rest.remove_prefix(head.length);
  }
}

}  // namespace

FUZZ_TARGET(http_request) {
  static World world;
  if (input.size() > kInputMax) return;
  const bool with_token = input.starts_with('T');
  if (with_token) input.remove_prefix(1);
  check_answers(world.answers(input, with_token), with_token);
}

}  // namespace chappe::fuzz
