#include "tests/support/servers/s3_server.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "engine/base/assert.h"

namespace chappe::testing {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::minutes kStartMax{4};

// Of a line NAME=VALUE.
std::string value_of(const std::string& output, const std::string& name) {
  const std::string lines = "\n" + output;
  const std::size_t at = lines.find("\n" + name + "=");
  if (at == std::string::npos) return {};
  const std::size_t start = at + name.size() + 1;  // In `output`, which has no newline before its first line.
  return output.substr(start, output.find('\n', start) - start);
}

}  // namespace

S3Server::S3Server(const std::string& script) : script_(CHAPPE_SOURCE_DIR "/tests/support/servers/" + script) {
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  CHAPPE_ASSERT(::pipe2(in.data(), O_CLOEXEC) == 0 && ::pipe2(out.data(), O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::array<char*, 2> arguments{script_.data(), nullptr};
  const int failed = ::posix_spawn(&pid_, script_.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  CHAPPE_ASSERT(failed == 0);
  ::close(in[0]);
  ::close(out[1]);
  stop_fd_ = in[1];
  output_fd_ = out[0];
}

S3Server::~S3Server() {
  ::close(stop_fd_);
  ::waitpid(pid_, nullptr, 0);
  ::close(output_fd_);
}

Result<void> S3Server::wait() {
  const auto deadline = steady_clock::now() + kStartMax;
  while (output_.find("ready=1\n") == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
    pollfd ready{.fd = output_fd_, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) {
      return fail(ErrorCode::kUnsupported, script_ + " did not serve in time");
    }
    std::array<char, 4096> text{};
    const ssize_t length = ::read(output_fd_, text.data(), text.size());
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return fail(ErrorCode::kUnsupported, script_ + " gave up; see above");
    output_.append(text.data(), static_cast<std::size_t>(length));
  }
  endpoint_ = value_of(output_, "endpoint");
  tls_endpoint_ = value_of(output_, "tls_endpoint");
  ca_file_ = value_of(output_, "ca_file");
  access_key_ = value_of(output_, "access_key");
  secret_key_ = value_of(output_, "secret_key");
  return {};
}

}  // namespace chappe::testing
