#include "scheduler/api/server.h"

#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <map>
#include <thread>
#include <utility>

#include "engine/ports/log.h"
#include "scheduler/api/session.h"

namespace chappe::api {
namespace {

namespace net = boost::asio;
using net::ip::tcp;
using Failed = boost::system::error_code;

constexpr std::size_t kReaders = 2;
constexpr std::chrono::seconds kWrongTokenRest{3};
constexpr std::chrono::milliseconds kAcceptRest{100};  // When the process is out of descriptors.

/// Whose connections are counted together: an IPv4 address, or the /64 of an IPv6 one.
std::string peer_of(const tcp::endpoint& endpoint) {
  const net::ip::address address = endpoint.address();
  if (address.is_v4()) return address.to_string();
  const auto bytes = address.to_v6().to_bytes();
  return to_hex(std::span(bytes).first(8));
}

Result<tcp::endpoint> parse_listen(const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is not HOST:PORT", listen));
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  Failed failed;
  const auto address = net::ip::make_address(host, failed);
  std::uint16_t port = 0;
  const char* end = listen.data() + listen.size();
  const auto read = std::from_chars(listen.data() + colon + 1, end, port);
  if (failed || read.ec != std::errc() || read.ptr != end) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("'{}' is not HOST:PORT with an IP address or 'localhost' as HOST", listen));
  }
  return tcp::endpoint(address, port);
}

}  // namespace

struct Server::State {
  State(const ServerConfig& config, Backend& backend, LogHub& logs)
      : acceptor(io),
        accept_rest(io),
        shared{.backend = backend,
               .logs = logs,
               .views = {},
               .watches = {},
               .bounds = config.bounds,
               .tokens = std::make_shared<TokenBook>(config.token, config.tokens),
               .denials = Denials(backend),
               .wrong_tokens = Allowances({.burst = config.bounds.wrong_tokens_max, .one_more = kWrongTokenRest}),
               .deliveries = Allowances({.burst = config.bounds.deliveries_max, .one_more = std::chrono::seconds(1)}),
               .webhooks = WebhookSecrets(config.webhook_key),
               .mailbox = std::make_shared<Mailbox>(io),
               .seconds = backend.metrics().seconds("chappe_http_seconds",
                                                    "From the head of a request to the API to its answer.")},
        metadata(backend, kReaders, config.bounds.queue_max),
        objects(backend, kReaders, config.bounds.queue_max) {
    shared.metadata = &metadata;
    shared.objects = &objects;
  }

  ~State() {
    shared.mailbox->close();
    work.reset();
    io.stop();
    if (thread.joinable()) thread.join();
  }

  Result<void> listen(const tcp::endpoint& endpoint) {
    Failed failed;
    acceptor.open(endpoint.protocol(), failed);
    if (!failed) acceptor.set_option(tcp::acceptor::reuse_address(true), failed);
    if (!failed) acceptor.bind(endpoint, failed);
    if (!failed) acceptor.listen(tcp::acceptor::max_listen_connections, failed);
    if (!failed) return {};
    return fail(ErrorCode::kUnavailable,
                fmt::format("listen on {}:{}: {}", endpoint.address().to_string(), endpoint.port(), failed.message()));
  }

  void accept() {
    acceptor.async_accept([this](const Failed& failed, tcp::socket socket) {
      if (failed == net::error::operation_aborted) return;
      if (failed) return rest_and_accept(failed);
      welcome(std::move(socket));
      accept();
    });
  }

  void rest_and_accept(const Failed& failed) {
    log::warn("accept a connection: {}", failed.message());
    accept_rest.expires_after(kAcceptRest);
    accept_rest.async_wait([this](const Failed& cancelled) {
      if (!cancelled) accept();
    });
  }

  void welcome(tcp::socket socket) {
    Failed failed;
    const tcp::endpoint endpoint = socket.remote_endpoint(failed);
    if (failed) return;  // Gone already.
    socket.set_option(tcp::no_delay(true), failed);
    const std::string peer = peer_of(endpoint);
    if (!make_room(peer)) return;  // All its connections are at work; the socket closes with its owner.
    const std::uint64_t number = ++last_number;
    auto session = std::make_shared<Session>(std::move(socket), endpoint.address().to_string(), shared,
                                             [this, number] { forget(number); });
    sessions.emplace(number, Known{peer, session});
    ++by_peer[peer];
    count = sessions.size();
    session->start();
  }

  bool make_room(const std::string& peer) {
    const auto of_peer = by_peer.find(peer);
    if (of_peer != by_peer.end() && of_peer->second >= shared.bounds.connections_per_address_max) {
      return turn_out(&peer);
    }
    return sessions.size() < shared.bounds.connections_max || turn_out(nullptr);
  }

  /// Closes the connection that has owed a request longest, of `peer` or of anybody.
  bool turn_out(const std::string* peer) {
    std::shared_ptr<Session> slowest;
    for (const auto& [number, known] : sessions) {
      if ((peer != nullptr && known.peer != *peer) || !known.session->owes_request()) continue;
      if (slowest == nullptr || known.session->owes_since() < slowest->owes_since()) slowest = known.session;
    }
    if (slowest != nullptr) slowest->close();
    return slowest != nullptr;
  }

  void forget(std::uint64_t number) {
    const auto found = sessions.find(number);
    if (found == sessions.end()) return;
    const auto of_peer = by_peer.find(found->second.peer);
    if (--of_peer->second == 0) by_peer.erase(of_peer);
    sessions.erase(found);
    count = sessions.size();
  }

  struct Known {
    std::string peer;
    std::shared_ptr<Session> session;
  };

  net::io_context io{1};
  net::executor_work_guard<net::io_context::executor_type> work = net::make_work_guard(io);
  tcp::acceptor acceptor;
  net::steady_timer accept_rest;
  Shared shared;
  std::map<std::uint64_t, Known> sessions;
  std::map<std::string, std::size_t> by_peer;
  std::uint64_t last_number = 0;
  std::atomic<std::size_t> count = 0;
  // The pools go first: what they still read refers to `shared`.
  ReaderPool metadata;
  ReaderPool objects;
  std::thread thread;
};

Result<std::unique_ptr<Server>> Server::start(const ServerConfig& config, Backend& backend, LogHub& logs) {
  const auto endpoint = parse_listen(config.listen);
  if (!endpoint) return fail(endpoint.error());
  if (config.token.empty() && !endpoint->address().is_loopback()) {
    return fail(ErrorCode::kPermissionDenied,
                fmt::format("listen on {}: refused without a token, since others can reach this address; set a token, "
                            "or listen on 127.0.0.1",
                            config.listen));
  }
  auto state = std::make_unique<State>(config, backend, logs);
  if (auto listening = state->listen(*endpoint); !listening) return fail(listening.error());
  state->accept();
  state->thread = std::thread([io = &state->io] { io->run(); });
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() = default;

std::string Server::url() const {
  Failed failed;
  const tcp::endpoint endpoint = state_->acceptor.local_endpoint(failed);
  const net::ip::address address = endpoint.address();
  const std::string host = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  return fmt::format("http://{}:{}", host, endpoint.port());
}

std::size_t Server::connections() const { return state_->count; }

}  // namespace chappe::api
