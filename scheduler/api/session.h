/// \file
/// One connection of the API's server, from head to head. Thread: the I/O thread.
///
///   idle --> head --> body --> waiting --> writing --> idle ...
///                                    |            \--> leaving --> closed
///                                    \--> streaming --> closed
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "scheduler/api/context.h"
#include "scheduler/api/denials.h"
#include "scheduler/api/reader_pool.h"
#include "scheduler/api/routes.h"
#include "scheduler/api/server.h"

namespace chappe::api {

/// The way from other threads onto the I/O thread; still safe to use when that is gone.
class Mailbox {
 public:
  explicit Mailbox(boost::asio::io_context& io) : io_(&io) {}
  void post(std::function<void()> work);
  void close();  ///< From now on post() does nothing.

 private:
  std::mutex mutex_;
  boost::asio::io_context* io_;
};

/// What all sessions of a server share.
struct Shared {
  Backend& backend;
  LogHub& logs;
  RunViews views;
  WatchBoard watches;
  ServerBounds bounds;
  std::shared_ptr<TokenBook> tokens;
  Denials denials;
  Allowances wrong_tokens;  ///< By network address.
  Allowances deliveries;    ///< By DAG and webhook.
  WebhookSecrets webhooks;
  std::shared_ptr<Mailbox> mailbox;
  ReaderPool* metadata = nullptr;
  ReaderPool* objects = nullptr;
  std::size_t streams = 0;
  metrics::Seconds seconds;  ///< From the head of a request to its answer.
};

/// What handlers work with on a reader thread.
Context context_of(Shared& shared, MetaReader& reader);

class Session : public std::enable_shared_from_this<Session> {
 public:
  using Closed = std::function<void()>;
  /// `address`: of the peer, as the audit log shows it.
  Session(boost::asio::ip::tcp::socket socket, std::string address, Shared& shared, Closed closed);

  void start();
  void close();
  /// The peer has not said what it wants yet: it may be turned out to make room.
  bool owes_request() const { return stage_ == Stage::kIdle || stage_ == Stage::kHead || stage_ == Stage::kLeaving; }
  std::chrono::steady_clock::time_point owes_since() const { return stage_since_; }

 private:
  enum class Stage : std::uint8_t { kIdle, kHead, kBody, kWaiting, kWriting, kStreaming, kLeaving, kClosed };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using TextResponse = boost::beast::http::response<boost::beast::http::string_body>;
  using StreamResponse = boost::beast::http::response<boost::beast::http::empty_body>;
  using StreamSerializer = boost::beast::http::response_serializer<boost::beast::http::empty_body>;
  using Failed = boost::beast::error_code;

  void enter(Stage stage, std::chrono::milliseconds time_max);
  void time_is_up();

  void wait_for_request();
  void read_head();
  void on_head(Failed failed);
  /// What is wrong with the head as such; nullopt: nothing.
  std::optional<Answer> refusal_of_head() const;
  std::optional<Answer> find_route();
  std::optional<Answer> refusal_of_caller();
  Answer refuse_stranger(const Caller& caller, bool token_given);
  bool has_secret(std::string_view given);
  std::optional<Answer> refusal_of_delivery();
  void record_denial(const Caller& caller, int status, const std::string& why);
  std::optional<Answer> refusal_of_body() const;
  void read_body();
  void send_continue();
  void on_body(Failed failed);

  void dispatch();
  Respond make_respond();
  void answered(std::uint64_t request, Answer answer);
  void count(int status);
  void write(Answer answer);
  void take_leave();
  void drop_input(std::size_t bytes_left);
  /// Answers and ends the connection: what follows on it cannot be trusted to be a request.
  void refuse(Answer answer);
  template <typename Response>
  void fill_head(Response& response, const Answer& answer) const;

  void start_stream(Answer answer);
  void watch_peer();
  void pull();
  void on_piece(Stream::Piece piece);
  void end_stream();

  boost::asio::ip::tcp::socket socket_;
  const std::string address_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer rest_;
  Shared& shared_;
  Closed closed_;
  Stage stage_ = Stage::kIdle;
  std::chrono::steady_clock::time_point stage_since_{};
  std::uint64_t request_no_ = 0;  ///< Counts requests: an answer to an earlier one is dropped.

  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  const Route* route_ = nullptr;
  Request request_;
  bool keep_alive_ = false;
  std::string signature_;  ///< Of the body, which is not there yet; "": the caller is known without.

  std::optional<TextResponse> text_response_;
  std::optional<StreamResponse> stream_response_;
  std::optional<StreamSerializer> stream_serializer_;
  std::shared_ptr<Stream> stream_;
  Stream::Piece piece_;
  std::array<char, 4096> unwanted_{};
};

}  // namespace chappe::api
