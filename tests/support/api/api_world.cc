#include "tests/support/api/api_world.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "dags/loader/loader.h"
#include "engine/run/instances.h"
#include "proto/json/json.h"
#include "storage/digest/digest.h"
#include "storage/open/object_stores.h"

namespace chappe::api {
namespace {

constexpr WallTime kSomeDay{1'790'000'000'000'000};

std::uint16_t port_of(const std::string& url) {
  return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

sockaddr_in address_of(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  return address;
}

bool is_readable(int socket, std::chrono::milliseconds wait) {
  pollfd waiting{socket, POLLIN, 0};
  return ::poll(&waiting, 1, static_cast<int>(wait.count())) > 0;
}

}  // namespace

void RecordingBackend::request(Event event, Done done) {
  {
    const std::scoped_lock lock(mutex_);
    requests_.push_back(event);
  }
  if (answer) done(answer(event));
}

void RecordingBackend::explain(const RunId& run, std::string task, std::size_t, Done done) {
  done(Value(
      ValueMap{{"run", run.text()}, {"state", "running"}, {"tasks", ValueList{Value(ValueMap{{"task", task}})}}}));
}

void RecordingBackend::workers(Done done) { done(Value(ValueMap{{"workers", ValueList{}}})); }

void RecordingBackend::questions(std::size_t, Done done) { done(Value(ValueMap{{"items", ValueList{}}})); }

Result<std::unique_ptr<MetaReader>> RecordingBackend::open_reader() { return SqliteMetaStore::open_reader(database_); }

RunId RecordingBackend::new_run_id() {
  std::array<std::uint8_t, 10> random{};
  random_bytes(random);
  return RunId::make(kSomeDay, random);
}

std::vector<Event> RecordingBackend::requests() const {
  const std::scoped_lock lock(mutex_);
  return requests_;
}

Peer::Peer(const std::string& url, const std::string& from) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in own = address_of(from, 0);
  const sockaddr_in server = address_of("127.0.0.1", port_of(url));
  const bool connected = ::bind(socket_, reinterpret_cast<const sockaddr*>(&own), sizeof(own)) == 0 &&
                         ::connect(socket_, reinterpret_cast<const sockaddr*>(&server), sizeof(server)) == 0;
  EXPECT_TRUE(connected) << strerror(errno);
}

Peer::~Peer() { ::close(socket_); }

bool Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string Peer::read_all(std::chrono::milliseconds wait) {
  std::string all = std::move(rest_);
  char buffer[65536];
  while (is_readable(socket_, wait)) {
    const ssize_t size = ::recv(socket_, buffer, sizeof(buffer), 0);
    if (size <= 0) break;
    all.append(buffer, static_cast<std::size_t>(size));
  }
  return all;
}

std::string Peer::read_answer() {
  char buffer[65536];
  for (;;) {
    const std::size_t end = rest_.find("\r\n\r\n");
    if (end != std::string::npos) {
      const std::size_t field = rest_.find("Content-Length: ");
      const std::size_t size = end + 4 + (field < end ? std::stoul(rest_.substr(field + 16)) : 0);
      if (rest_.size() >= size) {
        std::string answer = rest_.substr(0, size);
        rest_.erase(0, size);
        return answer;
      }
    }
    if (!is_readable(socket_, std::chrono::seconds(10))) return "";
    const ssize_t got = ::recv(socket_, buffer, sizeof(buffer), 0);
    if (got <= 0) return "";
    rest_.append(buffer, static_cast<std::size_t>(got));
  }
}

bool Peer::is_closed_within(std::chrono::milliseconds wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  char buffer[4096];
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !is_readable(socket_, left)) return false;
    if (::recv(socket_, buffer, sizeof(buffer), 0) <= 0) return true;
  }
}

Value Reply::json() const {
  auto parsed = parse_json(body);
  EXPECT_TRUE(parsed) << body;
  return parsed ? *parsed : Value();
}

Reply parse_reply(const std::string& text) {
  Reply reply;
  const std::size_t end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || end == std::string::npos) return reply;
  reply.status = std::stoi(text.substr(9, 3));
  reply.head = text.substr(0, end);
  reply.body = text.substr(end + 4);
  if (reply.head.find("Transfer-Encoding: chunked") == std::string::npos) return reply;
  std::string joined;
  for (std::size_t at = 0; at < reply.body.size();) {
    const std::size_t line = reply.body.find("\r\n", at);
    const std::size_t size = std::stoul(reply.body.substr(at, line - at), nullptr, 16);
    joined += reply.body.substr(line + 2, size);
    at = line + 2 + size + 2;
  }
  reply.body = joined;
  return reply;
}

void ApiWorld::SetUp() {
  std::string name = (std::filesystem::temp_directory_path() / "chappe-api-XXXXXX").string();
  directory_ = ::mkdtemp(name.data());
  auto store = SqliteMetaStore::open(directory_ / "chappe.db");
  ASSERT_TRUE(store) << store.error().message;
  store_ = *std::move(store);
  auto objects = open_object_store("file://" + (directory_ / "objects").string());
  ASSERT_TRUE(objects) << objects.error().message;
  objects_ = *std::move(objects);
  backend_ = std::make_unique<RecordingBackend>(directory_ / "chappe.db", *objects_);
  backend_->answer = [](const Event& event) -> Result<Value> {
    const auto* run = std::get_if<RunRequested>(&event);
    return Value(ValueMap{{"run", run == nullptr ? "" : run->id.text()}, {"state", "running"}});
  };
  logs_ = std::make_unique<LogHub>();
  restart({});
}

void ApiWorld::TearDown() {
  server_.reset();
  store_.reset();
  std::filesystem::remove_all(directory_);
}

void ApiWorld::restart(const ServerBounds& bounds) {
  server_.reset();
  auto server = Server::start(
      {.listen = "127.0.0.1:0", .token = kToken, .tokens = tokens_, .webhook_key = kWebhookKey, .bounds = bounds},
      *backend_, *logs_);
  ASSERT_TRUE(server) << server.error().message;
  server_ = *std::move(server);
}

TokenRow ApiWorld::token_row(const std::string& name, Role role, const std::string& token, WallTime expires_at) {
  return {.name = name, .role = role, .sha256 = to_hex(sha256(token)), .created_by = "admin", .expires_at = expires_at};
}

std::string ApiWorld::head_of(const std::string& method, const std::string& path, const std::string& more) const {
  return fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{}\r\n", method, path, kToken,
                     more);
}

Reply ApiWorld::call(const std::string& method, const std::string& path, const std::string& body,
                     const std::string& more_head) {
  Peer peer(server_->url());
  const std::string length = body.empty() ? "" : fmt::format("Content-Length: {}\r\n", body.size());
  peer.send(head_of(method, path, "Connection: close\r\n" + more_head + length) + body);
  return parse_reply(peer.read_all());
}

RunRow ApiWorld::add_run(const std::string& dag_yaml, RunState state) {
  const LoadedDag loaded = load_dag(dag_yaml, "test.yaml");
  EXPECT_NE(loaded.dag, nullptr) << (loaded.diagnostics.empty() ? "" : loaded.diagnostics.front().text());
  const auto params = resolve_params(loaded.dag->params, Value());
  const auto instances = Instances::expand(loaded.dag, *params);
  RunRow run{.seq = {++last_run_},
             .id = backend_->new_run_id(),
             .dag = loaded.dag->name,
             .dag_version = loaded.dag->version,
             .params_json = to_json(*params),
             .trigger = "manual",
             .state = state,
             .instances = instances->size(),
             .created_at = kSomeDay};
  Persist changes;
  changes.dag_versions.push_back({loaded.dag->version, loaded.dag->name, dag_yaml, kSomeDay});
  changes.runs.push_back(run);
  commit(changes);
  return run;
}

void ApiWorld::commit(const Persist& changes) {
  const auto committed = store_->commit(changes);
  ASSERT_TRUE(committed) << committed.error().message;
}

void ApiWorld::put_object(const std::string& key, const std::string& text) {
  auto writer = objects_->create(key, {}, text.size());
  ASSERT_TRUE(writer) << writer.error().message;
  ASSERT_TRUE((*writer)->write(std::as_bytes(std::span(text))));
  ASSERT_TRUE((*writer)->finish());
}

}  // namespace chappe::api
