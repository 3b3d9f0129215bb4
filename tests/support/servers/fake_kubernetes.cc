#include "tests/support/servers/fake_kubernetes.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>

#include "engine/base/assert.h"
#include "proto/http/client.h"

namespace chappe::support {

FakeKubernetes::FakeKubernetes(const std::string& kubelet, const std::vector<std::string>& more) {
  std::vector<std::string> words{"python3", "-B", CHAPPE_SOURCE_DIR "/tests/support/servers/fake_kubernetes.py",
                                 "--kubelet", kubelet};
  words.insert(words.end(), more.begin(), more.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  CHAPPE_ASSERT(::pipe2(in.data(), O_CLOEXEC) == 0 && ::pipe2(out.data(), O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  CHAPPE_ASSERT(::posix_spawnp(&pid_, "python3", &actions, nullptr, arguments.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  stop_fd_ = in[1];
  std::string said;
  std::array<char, 256> text{};
  while (said.find('\n') == std::string::npos) {
    const ssize_t length = ::read(out[0], text.data(), text.size());
    if (length < 0 && errno == EINTR) continue;
    CHAPPE_ASSERT(length > 0);  // It says why it cannot serve.
    said.append(text.data(), static_cast<std::size_t>(length));
  }
  ::close(out[0]);
  url_ = said.substr(4, said.find('\n') - 4);  // "url http://..."
}

FakeKubernetes::~FakeKubernetes() {
  ::close(stop_fd_);
  ::waitpid(pid_, nullptr, 0);
}

std::string FakeKubernetes::ask(const std::string& what, const std::string& body) const {
  http::Client client;
  http::Request request{.method = "POST", .url = url_ + "/fake/" + what};
  request.body = std::as_bytes(std::span(body));
  const auto answer = client.send(request);
  CHAPPE_ASSERT(answer.has_value());
  return answer->body;
}

}  // namespace chappe::support
