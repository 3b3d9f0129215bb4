#include "worker/container/container_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/base/value.h"
#include "proto/json/json.h"

namespace chappe::container {
namespace {

using namespace std::chrono_literals;

constexpr auto kCallMax = 120s;      ///< The runtime may be busy with many others.
constexpr auto kPullMax = 2h;        ///< A large image over a slow line.
constexpr auto kPullSilence = 600s;  ///< A large layer is unpacked without a word.
constexpr std::size_t kMessageMax = 500;
constexpr std::size_t kAnswerMax = std::size_t{4} << 20;
constexpr std::size_t kLineMax = std::size_t{64} << 10;

std::string url_of(const std::string& path) { return "http://runtime" + path; }

std::string text_in(const Value* map, std::string_view name) {
  const Value* found = map == nullptr ? nullptr : map->find(name);
  const std::string* text = found == nullptr ? nullptr : found->as_string();
  return text == nullptr ? "" : *text;
}

std::int64_t number_in(const Value* map, std::string_view name) {
  const Value* found = map == nullptr ? nullptr : map->find(name);
  const std::int64_t* number = found == nullptr ? nullptr : found->as_int();
  return number == nullptr ? 0 : *number;
}

bool truth_in(const Value* map, std::string_view name) {
  const Value* found = map == nullptr ? nullptr : map->find(name);
  return found != nullptr && found->as_bool() != nullptr && *found->as_bool();
}

std::vector<std::string> texts_in(const Value* map, std::string_view name) {
  std::vector<std::string> texts;
  const Value* found = map == nullptr ? nullptr : map->find(name);
  if (found == nullptr || found->as_list() == nullptr) return texts;
  for (const Value& each : *found->as_list()) {
    if (each.as_string() != nullptr) texts.push_back(*each.as_string());
  }
  return texts;
}

/// What the runtime says is wrong.
Failure refusal(const http::Response& response) {
  const Result<Value> body = parse_json(response.body, kAnswerMax);
  std::string message = body ? text_in(&*body, "message") : response.body;
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  if (message.size() > kMessageMax) message.resize(kMessageMax);
  if (message.empty()) message = fmt::format("it answers with status {}", response.status);
  return fail(response.status == 404 ? ErrorCode::kNotFound : ErrorCode::kInvalidInput, std::move(message));
}

Result<Value> read_json(Result<http::Response> response) {
  if (!response) return fail(std::move(response.error()));
  if (response->status < 200 || response->status > 299) return refusal(*response);
  Result<Value> value = parse_json(response->body, kAnswerMax);
  if (!value) return fail(std::move(value.error()).in("the container runtime's answer"));
  return value;
}

/// `fine`: a status beside 2xx that means that it is so already.
Result<void> done(const Result<http::Response>& response, int fine = 0) {
  if (!response) return fail(response.error());
  const bool good = (response->status >= 200 && response->status <= 299) || response->status == fine;
  if (!good) return refusal(*response);
  return {};
}

/// The progress of a pull: a line of JSON each; only a mistake is of interest.
class PullProgress {
 public:
  bool take(std::span<const std::byte> bytes) {
    for (const std::byte each : bytes) {
      const char c = static_cast<char>(each);
      if (c != '\n') {
        if (line_.size() < kLineMax) line_ += c;
        continue;
      }
      end_line();
    }
    return true;
  }

  std::string error() {
    end_line();
    return error_;
  }

 private:
  void end_line() {
    if (const Result<Value> said = parse_json(line_, kLineMax); said && said->find("error") != nullptr) {
      error_ = text_in(&*said, "error").substr(0, kMessageMax);
    }
    line_.clear();
  }

  std::string line_;
  std::string error_;
};

bool is_tagged(const std::string& image) {
  const std::size_t slash = image.rfind('/');
  return image.find_first_of(":@", slash == std::string::npos ? 0 : slash) != std::string::npos;
}

/// The one that is of the image's own repository, however short that was written.
std::string digest_of(const Value& image, const std::string& name) {
  const std::vector<std::string> digests = texts_in(&image, "RepoDigests");
  const std::string repository = repository_of(name);
  const auto own = std::find_if(digests.begin(), digests.end(), [&](const std::string& digest) {
    const std::string known = digest.substr(0, digest.find('@'));
    return known == repository || known.ends_with("/" + repository);
  });
  if (own != digests.end()) return *own;
  return digests.empty() ? "" : digests.front();
}

}  // namespace

std::string repository_of(const std::string& image) {
  const std::string bare = image.substr(0, image.find('@'));
  const std::size_t slash = bare.rfind('/');
  return bare.substr(0, bare.find(':', slash == std::string::npos ? 0 : slash));
}

ContainerApi::ContainerApi(std::string socket) : socket_(std::move(socket)), client_({.unix_socket = socket_}) {}

Result<http::Response> ContainerApi::call(const std::string& method, const std::string& path, const std::string& body) {
  http::Request request;
  request.method = method;
  request.url = url_of(path);
  request.body = std::as_bytes(std::span(body));
  if (!body.empty()) request.headers.emplace_back("content-type", "application/json");
  request.timeout = kCallMax;
  request.stall_timeout = 0s;
  request.body_bytes_max = kAnswerMax;
  auto response = client_.send(request);
  if (!response) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("the container runtime at {} does not answer ({})", socket_, response.error().message));
  }
  return response;
}

Result<std::string> ContainerApi::version() {
  const Result<Value> answer = read_json(call("GET", "/version"));
  if (!answer) return fail(answer.error());
  const Value* components = answer->find("Components");
  const bool named = components != nullptr && components->as_list() != nullptr && !components->as_list()->empty();
  const std::string name = named ? text_in(&components->as_list()->front(), "Name") : "";
  return fmt::format("{} {}", name.empty() || name == "Engine" ? "Docker" : name, text_in(&*answer, "Version"));
}

Result<Image> ContainerApi::find_image(const std::string& name) {
  const Result<Value> answer = read_json(call("GET", "/images/" + http::percent_encode(name) + "/json"));
  if (!answer) return fail(answer.error());
  Image image{.id = text_in(&*answer, "Id"), .digest = digest_of(*answer, name)};
  if (image.digest.empty()) image.digest = image.id;
  if (image.id.empty()) return fail(ErrorCode::kInvalidInput, "the container runtime tells no id of the image");
  return image;
}

Result<void> ContainerApi::pull(const std::string& image, const std::atomic<bool>& stopped) {
  http::Request request;
  request.method = "POST";
  request.url = url_of("/images/create?fromImage=" + http::percent_encode(image) +
                       (is_tagged(image) ? "" : "&tag=latest"));  // Without one, Docker fetches them all.
  request.timeout = kPullMax;
  request.stall_timeout = kPullSilence;
  request.stopped = &stopped;
  PullProgress progress;
  const auto response = client_.stream(request, [&](std::span<const std::byte> bytes) { return progress.take(bytes); });
  if (!response) return fail(ErrorCode::kUnavailable, fmt::format("the container runtime at {} broke off", socket_));
  if (auto refused = done(response); !refused) return refused;
  if (const std::string error = progress.error(); !error.empty()) return fail(ErrorCode::kInvalidInput, error);
  return {};
}

Result<std::string> ContainerApi::create(const std::string& name, const std::string& body) {
  const Result<Value> answer = read_json(call("POST", "/containers/create?name=" + http::percent_encode(name), body));
  if (!answer) return fail(answer.error());
  std::string id = text_in(&*answer, "Id");
  if (id.empty()) return fail(ErrorCode::kInvalidInput, "the container runtime tells no id of the container");
  return id;
}

Result<void> ContainerApi::start(const std::string& id) {
  return done(call("POST", "/containers/" + id + "/start"), 304);
}

Result<void> ContainerApi::attach(const std::string& id, const std::function<void()>& attached,
                                  const http::BodySink& sink, const std::atomic<bool>& stopped) {
  http::Request request;
  request.method = "POST";
  request.url = url_of("/containers/" + id + "/attach?stream=1&stdout=1&stderr=1");
  request.stall_timeout = 0s;
  request.stopped = &stopped;
  request.on_head = [&](const http::Response&) { attached(); };
  return done(client_.stream(request, sink));
}

Result<ContainerState> ContainerApi::inspect(const std::string& id) {
  const Result<Value> answer = read_json(call("GET", "/containers/" + id + "/json"));
  if (!answer) return fail(answer.error());
  const Value* found = answer->find("State");
  const std::string status = text_in(found, "Status");
  ContainerState state;
  state.ended = status == "exited" || status == "stopped" || status == "dead";
  state.exit_code = static_cast<std::int32_t>(number_in(found, "ExitCode"));
  state.oom_killed = truth_in(found, "OOMKilled");
  state.pid = static_cast<pid_t>(number_in(found, "Pid"));
  state.env = texts_in(answer->find("Config"), "Env");
  return state;
}

Result<void> ContainerApi::signal(const std::string& id, const std::string& name) {
  return done(call("POST", "/containers/" + id + "/kill?signal=" + name), 409);  // It does not run.
}

Result<void> ContainerApi::remove(const std::string& id) {
  return done(call("DELETE", "/containers/" + id + "?force=true&v=true"), 404);
}

Result<std::vector<std::string>> ContainerApi::labelled(const std::string& label, Which which) {
  const std::string filters = to_json(ValueMap{{"label", ValueList{label}}});
  const Result<Value> answer =
      read_json(call("GET", "/containers/json?" + std::string(which == Which::kAll ? "all=true&" : "") +
                                "filters=" + http::percent_encode(filters)));
  if (!answer) return fail(answer.error());
  std::vector<std::string> ids;
  if (answer->as_list() == nullptr) return ids;
  for (const Value& one : *answer->as_list()) ids.push_back(text_in(&one, "Id"));
  return ids;
}

Result<bool> ContainerApi::has_file(const std::string& id, const std::string& path) {
  const auto response = call("HEAD", "/containers/" + id + "/archive?path=" + http::percent_encode(path));
  if (!response) return fail(response.error());
  if (response->status == 404) return false;
  if (auto refused = done(response); !refused) return fail(refused.error());
  return true;
}

}  // namespace chappe::container
