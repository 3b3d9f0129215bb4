#include "scheduler/api/session.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <limits>
#include <utility>

#include "engine/base/text.h"
#include "scheduler/api/target.h"

namespace chappe::api {
namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;
using std::chrono::milliseconds;

constexpr std::size_t kBufferMax = 64 * 1024;
constexpr milliseconds kLeaveTimeMax{1'000};
constexpr std::size_t kLeaveBytesMax = 256 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

template <typename Clock>
std::int64_t clock_us() {
  return std::chrono::duration_cast<Duration>(Clock::now().time_since_epoch()).count();
}
WallTime wall_now() { return {clock_us<std::chrono::system_clock>()}; }
MonoTime mono_now() { return {clock_us<std::chrono::steady_clock>()}; }

Answer unavailable() { return problem(503, "the server is busy: too many requests wait; try again"); }

std::string etag_of(const std::string& body) {
  const Sha256Bytes hash = sha256(body);
  return '"' + to_hex(std::span(hash).first(8)) + '"';
}

bool refers_to(std::string_view if_none_match, std::string_view etag) {
  return if_none_match == "*" || if_none_match.find(etag) != std::string_view::npos;
}

/// The first of these fields that is not empty; "": none is.
template <typename Message>
std::string first_of(const Message& message, std::initializer_list<boost::beast::string_view> fields) {
  for (const boost::beast::string_view field : fields) {
    if (const auto value = message[field]; !value.empty()) return std::string(view(value));
  }
  return "";
}

Answer run_handler(const Route& route, Context& context, const Request& request) {
  return std::get<Immediate>(route.handler)(context, request);
}

}  // namespace

void Mailbox::post(std::function<void()> work) {
  const std::scoped_lock lock(mutex_);
  if (io_ != nullptr) net::post(*io_, std::move(work));
}

void Mailbox::close() {
  const std::scoped_lock lock(mutex_);
  io_ = nullptr;
}

Session::Session(net::ip::tcp::socket socket, std::string address, Shared& shared, Closed closed)
    : socket_(std::move(socket)),
      address_(std::move(address)),
      deadline_(socket_.get_executor()),
      rest_(socket_.get_executor()),
      shared_(shared),
      closed_(std::move(closed)),
      buffer_(kBufferMax) {}

void Session::start() { wait_for_request(); }

void Session::close() {
  if (stage_ == Stage::kClosed) return;
  if (stage_ == Stage::kStreaming) --shared_.streams;
  stage_ = Stage::kClosed;
  Failed ignored;  // The peer may be gone already; closing is all that is left to do.
  socket_.shutdown(net::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
  deadline_.cancel();
  rest_.cancel();
  closed_();
}

void Session::enter(Stage stage, milliseconds time_max) {
  if (stage != stage_ || stage_since_ == std::chrono::steady_clock::time_point()) {
    stage_since_ = std::chrono::steady_clock::now();
  }
  stage_ = stage;
  deadline_.expires_after(time_max);
  deadline_.async_wait([self = weak_from_this()](const Failed& failed) {
    const auto session = self.lock();
    // A timer that was set anew while its handler was already queued has not come to its end.
    if (!failed && session && session->deadline_.expiry() <= std::chrono::steady_clock::now()) session->time_is_up();
  });
}

void Session::time_is_up() {
  switch (stage_) {
    case Stage::kHead:
      return refuse(problem(408, "the head of the request took too long"));
    case Stage::kBody:
      return refuse(problem(408, "the body of the request took too long"));
    case Stage::kWaiting:
      return refuse(problem(504, "the scheduler has not answered in time; it may still carry the request out"));
    default:
      return close();
  }
}

void Session::wait_for_request() {
  parser_.reset();
  text_response_.reset();
  request_ = {};
  route_ = nullptr;
  if (buffer_.size() > 0) return read_head();
  enter(Stage::kIdle, shared_.bounds.idle_time_max);
  socket_.async_wait(net::ip::tcp::socket::wait_read, [self = shared_from_this()](const Failed& failed) {
    if (self->stage_ == Stage::kClosed) return;
    return failed ? self->close() : self->read_head();
  });
}

void Session::read_head() {
  enter(Stage::kHead, shared_.bounds.head_time_max);
  parser_.emplace();
  parser_->header_limit(shared_.bounds.head_bytes_max);
  // Judged by the route, as soon as that is known, before a byte of it is read. Not boost::none: the parser of
  // Boost 1.74 compares the length with it, and anything is more than nothing.
  parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
  http::async_read_header(socket_, buffer_, *parser_,
                          [self = shared_from_this()](const Failed& failed, std::size_t) { self->on_head(failed); });
}

void Session::on_head(Failed failed) {
  if (stage_ != Stage::kHead) return;
  if (failed == http::error::header_limit || failed == http::error::buffer_overflow) {
    return refuse(problem(431, fmt::format("the head of the request is over {} bytes", shared_.bounds.head_bytes_max)));
  }
  if (failed == http::error::end_of_stream || failed == http::error::partial_message) return close();
  if (failed && failed.category() != make_error_code(http::error::bad_value).category()) return close();
  if (failed) return refuse(problem(400, "this is not a well-formed request: " + failed.message()));
  if (auto answer = refusal_of_head()) return refuse(*std::move(answer));
  if (auto answer = find_route()) return refuse(*std::move(answer));
  if (auto answer = refusal_of_caller()) return refuse(*std::move(answer));
  if (const auto wrong = query_problem(*route_, request_.query); !wrong.empty()) return refuse(problem(400, wrong));
  if (auto answer = refusal_of_body()) return refuse(*std::move(answer));
  keep_alive_ = parser_->keep_alive();
  read_body();
}

std::optional<Answer> Session::refusal_of_head() const {
  const auto& head = parser_->get();
  const auto fields = static_cast<std::size_t>(std::distance(head.begin(), head.end()));
  if (fields > shared_.bounds.head_fields_max) {
    return problem(431, fmt::format("the head of the request has over {} fields", shared_.bounds.head_fields_max));
  }
  if (head.count(http::field::host) > 1 || (head.version() == 11 && head.count(http::field::host) == 0)) {
    return problem(400, "the request needs exactly one Host");
  }
  if (head.count(http::field::content_length) > 1 || head.count(http::field::authorization) > 1) {
    return problem(400, "Content-Length and Authorization may be given once");
  }
  const std::string_view length = view(head[http::field::content_length]);
  if (length.find_first_not_of("0123456789") != std::string_view::npos) {
    return problem(400, "the Content-Length is not one number");
  }
  if (head.count(http::field::transfer_encoding) > 0) {
    return problem(411, "send a body with Content-Length; transfer codings are not taken");
  }
  return std::nullopt;
}

std::optional<Answer> Session::find_route() {
  auto target = parse_target(view(parser_->get().target()));
  if (!target) return problem(400, target.error().message);
  const auto method = parse_method(view(parser_->get().method_string()));
  std::string allowed;
  for (const Route& route : routes()) {
    auto variables = match(route.pattern, target->segments);
    if (!variables) continue;
    if (route.method == method) {
      route_ = &route;
      request_ = {.method = route.method, .variables = *std::move(variables), .query = std::move(target->query)};
      return std::nullopt;
    }
    allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", name_of(route.method));
  }
  if (allowed.empty()) return problem(404, "there is nothing at this path");
  Answer answer = problem(405, fmt::format("this path takes {}", allowed));
  answer.headers.emplace_back("Allow", allowed);
  return answer;
}

std::optional<Answer> Session::refusal_of_caller() {
  request_.source = address_;
  request_.at = wall_now();
  if (route_->permission == Permission::kNone) return std::nullopt;
  constexpr std::string_view kScheme = "Bearer ";
  std::string_view given = view(parser_->get()[http::field::authorization]);
  const bool token_given = given.starts_with(kScheme);
  given.remove_prefix(token_given ? kScheme.size() : given.size());
  if (route_->by_secret && has_secret(given)) return std::nullopt;
  const Caller caller = shared_.tokens->identify(given, request_.at);
  if (!caller.role) return refuse_stranger(caller, token_given);
  request_.principal = caller.principal;
  request_.administers = allows(caller.role, Permission::kAdminister);
  if (allows(caller.role, route_->permission)) return std::nullopt;
  const std::string why = fmt::format("the token '{}' has the role {}; this needs {}", caller.principal,
                                      name_of(*caller.role), name_of(role_for(route_->permission)));
  record_denial(caller, 403, why);
  return problem(403, why, {{"code", name_of(ErrorCode::kPermissionDenied)}});
}

/// The secret itself, or a signature with it, which is looked at once the body is there.
bool Session::has_secret(std::string_view given) {
  const std::string& dag = request_.variable("dag");
  const std::string& webhook = request_.variable("webhook");
  request_.principal = fmt::format("webhook {}/{}", printable(dag), printable(webhook));
  signature_ = std::string(view(parser_->get()["X-Hub-Signature-256"]));
  if (!given.empty()) signature_.clear();
  return !signature_.empty() || shared_.webhooks.is_secret(given, dag, webhook);
}

/// Once its body is there: a signature that is none, or too many calls.
std::optional<Answer> Session::refusal_of_delivery() {
  const std::string& dag = request_.variable("dag");
  const std::string& webhook = request_.variable("webhook");
  const std::string signature = std::exchange(signature_, "");
  if (!signature.empty() && !shared_.webhooks.is_signature(signature, request_.body, dag, webhook)) {
    return refuse_stranger({.why = "the signature is not that of the body with the webhook's secret"}, true);
  }
  if (shared_.deliveries.take(dag + "/" + webhook, mono_now())) return std::nullopt;
  Answer answer = problem(429, "this webhook is called too often; come again");
  answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

/// Who shows wrong tokens again and again is told to stop, but a right one is always let in: 256 bits are not guessed,
/// and a neighbour behind the same address must not be able to lock others out.
Answer Session::refuse_stranger(const Caller& caller, bool token_given) {
  const bool too_often = token_given && !shared_.wrong_tokens.take(address_, mono_now());
  const int status = too_often ? 429 : 401;
  record_denial(caller, status, caller.why);
  Answer answer = too_often
                      ? problem(429, "too many wrong tokens came from this address; wait a minute")
                      : problem(401, fmt::format("a valid token is needed ({}): 'Authorization: Bearer TOKEN'; the "
                                                 "scheduler keeps the admin's in the file 'token' of its state "
                                                 "directory",
                                                 caller.why));
  if (too_often) answer.headers.emplace_back("Retry-After", "60");
  answer.headers.emplace_back("WWW-Authenticate", "Bearer");
  return answer;
}

void Session::record_denial(const Caller& caller, int status, const std::string& why) {
  shared_.denials.record({.principal = caller.principal,
                          .source = address_,
                          .object = fmt::format("{} {}", name_of(route_->method), route_->pattern),
                          .status = status,
                          .why = why},
                         mono_now());
}

std::optional<Answer> Session::refusal_of_body() const {
  const auto length = parser_->content_length();
  if (!length || *length <= route_->body_max) return std::nullopt;
  if (route_->body_max == 0) return problem(413, "this request takes no body");
  return problem(413, fmt::format("the body may have at most {} bytes here", route_->body_max));
}

void Session::read_body() {
  if (parser_->is_done()) return on_body({});
  enter(Stage::kBody, shared_.bounds.body_time_max);
  parser_->body_limit(route_->body_max);
  if (boost::beast::iequals(parser_->get()[http::field::expect], "100-continue")) return send_continue();
  http::async_read(socket_, buffer_, *parser_,
                   [self = shared_from_this()](const Failed& failed, std::size_t) { self->on_body(failed); });
}

void Session::send_continue() {
  parser_->get().erase(http::field::expect);
  net::async_write(socket_, net::buffer(kContinue.data(), kContinue.size()),
                   [self = shared_from_this()](const Failed& failed, std::size_t) {
                     if (self->stage_ != Stage::kBody) return;
                     return failed ? self->close() : self->read_body();
                   });
}

void Session::on_body(Failed failed) {
  if (stage_ != Stage::kBody && stage_ != Stage::kHead) return;
  if (failed) return close();
  auto& message = parser_->get();
  request_.body = std::move(message.body());
  request_.idempotency_key = std::string(view(message["Idempotency-Key"]));
  request_.if_none_match = std::string(view(message[http::field::if_none_match]));
  if (!is_utf8(request_.idempotency_key)) return refuse(problem(400, "the Idempotency-Key is not UTF-8"));
  if (route_->by_secret) {
    request_.delivery = first_of(message, {"X-GitHub-Delivery", "Webhook-Id", "Idempotency-Key"});
    request_.delivery_type = first_of(message, {"X-GitHub-Event"});
    if (auto answer = refusal_of_delivery()) return refuse(*std::move(answer));
  }
  dispatch();
}

Respond Session::make_respond() {
  return [mailbox = shared_.mailbox, session = weak_from_this(), number = request_no_](Answer answer) {
    mailbox->post([session, number, answer = std::move(answer)]() mutable {
      if (const auto self = session.lock()) self->answered(number, std::move(answer));
    });
  };
}

void Session::dispatch() {
  ++request_no_;
  enter(Stage::kWaiting, shared_.bounds.answer_time_max);
  if (const auto* constant = std::get_if<Constant>(&route_->handler)) return answered(request_no_, (*constant)());
  ReaderPool& pool = route_->lane == Lane::kObjects ? *shared_.objects : *shared_.metadata;
  const bool taken = pool.submit(
      [&shared = shared_, &route = *route_, request = request_, respond = make_respond()](MetaReader* reader) {
        if (reader == nullptr) return respond(problem(503, "the metadata store cannot be opened"));
        Context context = context_of(shared, *reader);
        if (const auto* deferred = std::get_if<Deferred>(&route.handler)) return (*deferred)(context, request, respond);
        respond(run_handler(route, context, request));
      });
  if (!taken) answered(request_no_, unavailable());
}

void Session::answered(std::uint64_t request, Answer answer) {
  if (stage_ != Stage::kWaiting || request != request_no_) return;
  if (answer.stream != nullptr) return start_stream(std::move(answer));
  if (request_.method == Method::kGet && answer.status == 200 && route_->permission != Permission::kNone) {
    const std::string etag = etag_of(answer.body);
    if (refers_to(request_.if_none_match, etag)) answer = {.status = 304, .content_type = "", .body = ""};
    answer.headers.emplace_back("ETag", etag);
  }
  write(std::move(answer));
}

template <typename Response>
void Session::fill_head(Response& response, const Answer& answer) const {
  response.version(11);
  response.result(static_cast<unsigned>(answer.status));
  response.reason(boost::beast::string_view(status_phrase(answer.status).data(), status_phrase(answer.status).size()));
  response.set(http::field::server, "chappe");
  if (!answer.content_type.empty()) response.set(http::field::content_type, answer.content_type);
  response.set("X-Content-Type-Options", "nosniff");
  response.set("Cross-Origin-Resource-Policy", "same-origin");
  response.set("Referrer-Policy", "no-referrer");
  response.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  response.set(http::field::cache_control, "no-store");
  for (const auto& [name, value] : answer.headers) response.set(name, value);
  response.keep_alive(keep_alive_);
}

/// By route, not by path: a path is anybody's to choose.
void Session::count(int status) {
  const std::string route = route_ == nullptr ? "(none)" : std::string(route_->pattern);
  shared_.backend.metrics()
      .counter("chappe_http_requests_total", "Requests to the API, by route and status.",
               {{"route", route},
                {"method", route_ == nullptr ? "(none)" : std::string(name_of(route_->method))},
                {"status", std::to_string(status)}})
      .add();
  if (request_.at.is_set()) shared_.seconds.observe(static_cast<double>((wall_now() - request_.at).count()) / 1e6);
}

void Session::write(Answer answer) {
  count(answer.status);
  enter(Stage::kWriting, shared_.bounds.write_time_max);
  text_response_.emplace();
  fill_head(*text_response_, answer);
  text_response_->body() = std::move(answer.body);
  text_response_->prepare_payload();
  http::async_write(socket_, *text_response_, [self = shared_from_this()](const Failed& failed, std::size_t) {
    if (self->stage_ == Stage::kClosed) return;
    if (failed) return self->close();
    return self->keep_alive_ ? self->wait_for_request() : self->take_leave();
  });
}

/// Closing over bytes that were not read would reset the connection, and the peer might never see the answer: so what
/// it still sends is dropped for a moment, until it closes too.
void Session::take_leave() {
  enter(Stage::kLeaving, kLeaveTimeMax);
  Failed ignored;  // Where the peer is gone already, the read below says so.
  socket_.shutdown(net::ip::tcp::socket::shutdown_send, ignored);
  drop_input(kLeaveBytesMax);
}

void Session::drop_input(std::size_t bytes_left) {
  socket_.async_read_some(net::buffer(unwanted_),
                          [self = shared_from_this(), bytes_left](const Failed& failed, std::size_t size) {
                            if (self->stage_ != Stage::kLeaving) return;
                            return failed || size >= bytes_left ? self->close() : self->drop_input(bytes_left - size);
                          });
}

void Session::refuse(Answer answer) {
  keep_alive_ = false;
  write(std::move(answer));
}

void Session::start_stream(Answer answer) {
  if (shared_.streams >= shared_.bounds.streams_max)
    return write(problem(503, "too many streams are followed already"));
  if (parser_->get().version() != 11) return refuse(problem(505, "a stream needs HTTP/1.1"));
  count(answer.status);
  ++shared_.streams;
  keep_alive_ = false;
  stream_ = std::move(answer.stream);
  enter(Stage::kStreaming, shared_.bounds.write_time_max);
  stream_response_.emplace();
  fill_head(*stream_response_, answer);
  stream_response_->chunked(true);
  stream_serializer_.emplace(*stream_response_);
  watch_peer();
  http::async_write_header(socket_, *stream_serializer_,
                           [self = shared_from_this()](const Failed& failed, std::size_t) {
                             if (self->stage_ != Stage::kStreaming) return;
                             return failed ? self->close() : self->pull();
                           });
}

/// Nothing is expected of the peer any more but that it goes away; then the stream must end at once.
void Session::watch_peer() {
  socket_.async_read_some(net::buffer(unwanted_), [self = shared_from_this()](const Failed& failed, std::size_t) {
    if (failed && self->stage_ == Stage::kStreaming) self->close();
  });
}

void Session::pull() {
  enter(Stage::kStreaming, shared_.bounds.answer_time_max);
  ReaderPool& pool = route_->lane == Lane::kObjects ? *shared_.objects : *shared_.metadata;
  const bool taken = pool.submit(
      [&shared = shared_, stream = stream_, mailbox = shared_.mailbox, session = weak_from_this()](MetaReader* reader) {
        Stream::Piece piece{.last = true};
        if (reader != nullptr) {
          Context context = context_of(shared, *reader);
          piece = stream->next(context);
        }
        mailbox->post([session, piece = std::move(piece)]() mutable {
          if (const auto self = session.lock()) self->on_piece(std::move(piece));
        });
      });
  if (!taken) on_piece({.rest_ms = 500});  // The readers are busy: what is new will be new then, too.
}

void Session::on_piece(Stream::Piece piece) {
  if (stage_ != Stage::kStreaming) return;
  piece_ = std::move(piece);
  if (!piece_.data.empty()) {
    enter(Stage::kStreaming, shared_.bounds.write_time_max);
    net::async_write(socket_, http::make_chunk(net::buffer(piece_.data)),
                     [self = shared_from_this()](const Failed& failed, std::size_t) {
                       if (self->stage_ != Stage::kStreaming) return;
                       if (failed) return self->close();
                       self->piece_.data.clear();
                       self->on_piece(std::move(self->piece_));
                     });
    return;
  }
  if (piece_.last) return end_stream();
  enter(Stage::kStreaming, shared_.bounds.answer_time_max);
  rest_.expires_after(milliseconds(piece_.rest_ms));
  rest_.async_wait([self = shared_from_this()](const Failed& failed) {
    if (!failed && self->stage_ == Stage::kStreaming) self->pull();
  });
}

void Session::end_stream() {
  enter(Stage::kStreaming, shared_.bounds.write_time_max);
  net::async_write(socket_, http::make_chunk_last(),
                   [self = shared_from_this()](const Failed&, std::size_t) { self->close(); });
}

}  // namespace chappe::api
