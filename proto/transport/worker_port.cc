#include "proto/transport/worker_port.h"

#include <fmt/core.h>
#include <sys/resource.h>

#include <chrono>
#include <optional>
#include <unordered_map>
#include <utility>
#include <variant>

#include "proto/transport/context.h"
#include "proto/transport/sessions.h"

namespace chappe::transport {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBacklog = 4096;
constexpr int kHandshakeMaxMs = 5'000;  // From when a connection was taken out of the backlog.
constexpr int kSilenceS = 4;            // After which the kernel asks whether the peer is there, and how often;
constexpr int kSilenceAgainS = 2;       // libzmq's bound on what is not answered (set_wire_options) ends it.
constexpr int kReceiveQueueMax = 64;    // Messages of one worker; the rest waits in its process.
constexpr std::size_t kReceiveBytesMax = std::size_t{4} << 20;  // Of one receive().
constexpr std::size_t kComplaintsMax = 16;
constexpr auto kComplaintEvery = std::chrono::minutes(1);

/// Of a key that was let in, and is not any more: of none that there is.
constexpr AttemptId kEndedAttempt{~std::uint64_t{0}};

/// libzmq 4.3 has the option, and its header shows it only with drafts. Without a handler nobody may connect then.
constexpr zmq::sockopt::integral_option<93, int, true> kZapEnforceDomain;

/// Each connection needs a descriptor, and libzmq spins when there are none.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);  // Where it may not be raised, the old limit holds.
}

class ZmqWorkerPort final : public WorkerPort {
 public:
  explicit ZmqWorkerPort(const WorkerPortConfig& config)
      : context_(Context::shared()),
        authorized_(config.authorized),
        domain_(context_->gate().open(config.authorized)),
        socket_(context_->zmq(), zmq::socket_type::router) {
    set_wire_options(socket_, config.endpoint);
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::rcvhwm, kReceiveQueueMax);
    socket_.set(zmq::sockopt::router_mandatory, true);
    socket_.set(zmq::sockopt::router_handover, false);
    socket_.set(zmq::sockopt::backlog, kBacklog);
    socket_.set(zmq::sockopt::handshake_ivl, kHandshakeMaxMs);
    watch_for_silence();
    socket_.set(zmq::sockopt::curve_server, true);
    socket_.set(zmq::sockopt::curve_secretkey, config.keys.secret_key);
    socket_.set(zmq::sockopt::zap_domain, domain_);
    socket_.set(kZapEnforceDomain, true);
    socket_.bind(config.endpoint);
    endpoint_ = socket_.get(zmq::sockopt::last_endpoint);
  }

  ~ZmqWorkerPort() override { context_->gate().close(domain_); }

  int fd() const override { return socket_.get(zmq::sockopt::fd); }
  void set_authorized(std::set<std::string> keys) override {
    authorized_ = keys;
    context_->gate().set_keys(domain_, std::move(keys));
  }
  std::string endpoint() const override { return endpoint_; }

  PortCounters counters() const override {
    PortCounters counters = counters_;
    counters.refused = context_->gate().refused(domain_);
    return counters;
  }

  std::vector<std::string> take_complaints() override { return std::exchange(complaints_, {}); }

  std::size_t receive(wire::WorkerSays& out, std::size_t messages_max) override {
    const Clock::time_point now = Clock::now();
    std::size_t taken = 0;
    std::size_t bytes = 0;
    while (taken < messages_max && bytes < kReceiveBytesMax && take_one(out, now, bytes)) ++taken;
    counters_.received += taken;
    sessions_.forget_idle(now);
    return taken;
  }

  void admit(const std::string& key, AttemptId attempt) override {
    dismiss(attempt);
    key_of_[attempt] = key;
    attempt_of_[key] = attempt;
    context_->gate().admit(domain_, key);
  }

  void dismiss(AttemptId attempt) override {
    const auto known = key_of_.extract(attempt);
    if (!known) return;
    context_->gate().dismiss(domain_, known.mapped());
    attempt_of_.erase(known.mapped());
  }

  void send(const WorkerSend& send) override {
    const Session* session = sessions_.find(send.to);
    if (session == nullptr) {
      ++counters_.unroutable;
      return;
    }
    const std::uint64_t left_out = encoder_.left_out();
    for (const std::string& message : encoder_.encode(send)) {
      if (!send_frames(session->routing_id, message)) return;
    }
    if (encoder_.left_out() != left_out && complaints_.size() < kComplaintsMax) {
      complaints_.push_back("an assignment was not sent: what its task reads takes more than a message can carry");
    }
  }

 private:
  /// By the kernel, which keeps a timer for each connection at no cost: libzmq looks through those of all connections
  /// for each one that it stops, so that heartbeats of its own would take the square of the workers' number, and at
  /// 10,000 of them more than a core. That a scheduler is frozen its workers notice, who have one connection each.
  void watch_for_silence() {
    socket_.set(zmq::sockopt::tcp_keepalive, 1);
    socket_.set(zmq::sockopt::tcp_keepalive_idle, kSilenceS);
    socket_.set(zmq::sockopt::tcp_keepalive_intvl, kSilenceAgainS);
  }

  /// One message: its sender and its last frame.
  struct Incoming {
    std::string routing_id;
    zmq::message_t payload;
    bool whole = false;  ///< That frame was the only one.
  };

  std::optional<Incoming> receive_frames() {
    zmq::message_t frame;
    if (!receive_now(socket_, frame)) return std::nullopt;
    Incoming incoming;
    incoming.routing_id = frame.to_string();
    std::size_t frames = 0;
    for (bool more = frame.more(); more; ++frames) {
      (void)receive_now(socket_, incoming.payload);  // All frames of a message come at once.
      more = incoming.payload.more();
    }
    incoming.whole = frames == 1;
    return incoming;
  }

  /// False: nothing is there.
  bool take_one(wire::WorkerSays& out, Clock::time_point now, std::size_t& bytes) {
    std::optional<Incoming> incoming = receive_frames();
    if (!incoming) return false;
    bytes += incoming->payload.size();
    // The first frame lacks this property in libzmq 4.3.4 after a poll; the last has it.
    const char* key = zmq_msg_gets(incoming->payload.handle(), "User-Id");
    if (Session* session = key == nullptr ? nullptr : sessions_.hear(incoming->routing_id, key, now)) {
      read(*incoming, *session, out, now);
    } else {
      ++counters_.malformed;
    }
    return true;
  }

  void read(const Incoming& incoming, Session& session, wire::WorkerSays& out, Clock::time_point now) {
    if (!incoming.whole) return complain(session, "a message is one frame", now);
    const std::size_t events_before = out.events.size();
    const std::size_t logs_before = out.logs.size();
    const std::span payload(static_cast<const std::byte*>(incoming.payload.data()), incoming.payload.size());
    if (const Result<void> decoded = decoder_.decode(payload, out); !decoded) {
      return complain(session, decoded.error().message, now);
    }
    if (!session.of_attempt) session.of_attempt = attempt_of(session.key);
    for (std::size_t i = events_before; i < out.events.size(); ++i) set_sender(out.events[i], session);
    for (std::size_t i = logs_before; i < out.logs.size(); ++i) out.logs[i].connection = session.connection;
  }

  static void set_sender(Event& event, const Session& session) {
    std::visit(
        [&session](auto& one) {
          if constexpr (requires { one.connection; }) one.connection = session.connection;
          if constexpr (requires { one.worker_key; }) one.worker_key = session.key;
          if constexpr (requires { one.join_key_of; }) one.join_key_of = *session.of_attempt;
        },
        event);
  }

  /// The connection keeps it, though the attempt ends: it never passes for a worker of another kind.
  AttemptId attempt_of(const std::string& key) const {
    if (authorized_.contains(key)) return {};
    const auto made_for = attempt_of_.find(key);
    return made_for == attempt_of_.end() ? kEndedAttempt : made_for->second;
  }

  void complain(Session& session, std::string_view what, Clock::time_point now) {
    ++counters_.malformed;
    if (session.complained && now - *session.complained < kComplaintEvery) return;
    if (complaints_.size() == kComplaintsMax) return;
    session.complained = now;
    complaints_.push_back(fmt::format("a message of the worker with key {} was dropped: {}", session.key, what));
  }

  /// False: the peer is gone or does not drain its queue.
  bool send_frames(const std::string& routing_id, const std::string& message) {
    const bool sent = send_now(socket_, routing_id, ZMQ_SNDMORE) && send_now(socket_, message);
    ++(sent ? counters_.sent : counters_.unroutable);
    return sent;
  }

  std::shared_ptr<Context> context_;
  std::set<std::string> authorized_;
  std::string domain_;
  zmq::socket_t socket_;
  std::string endpoint_;
  Sessions sessions_;
  std::unordered_map<AttemptId, std::string> key_of_;
  std::unordered_map<std::string, AttemptId> attempt_of_;
  wire::WorkerDecoder decoder_;
  wire::SchedulerEncoder encoder_;
  PortCounters counters_;
  std::vector<std::string> complaints_;
};

}  // namespace

Result<std::unique_ptr<WorkerPort>> WorkerPort::bind(const WorkerPortConfig& config) {
  raise_descriptor_limit();
  try {
    return std::make_unique<ZmqWorkerPort>(config);
  } catch (const zmq::error_t& error) {
    return fail(ErrorCode::kUnavailable, fmt::format("listen for workers on {}: {}", config.endpoint, error.what()));
  }
}

}  // namespace chappe::transport
