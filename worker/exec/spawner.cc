#include "worker/exec/spawner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <new>
#include <unordered_map>
#include <utility>

#include "engine/base/assert.h"
#include "worker/exec/control_groups.h"
#include "worker/exec/messages.h"
#include "worker/exec/zygote.h"

namespace chappe::exec {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{64} << 10;  ///< A pipe holds as much.
constexpr std::size_t kPiecesPerDispatch = 16;
constexpr std::size_t kPiecesAfterEnd = 64;  ///< A program may have made its pipe larger: up to 1 MiB.

/// Where epoll's news come from: a slot's pipes by number, its socket, or the control socket.
enum class Source : std::uint32_t { kPipe0 = 0, kPipe1 = 1, kSocket = kPipes, kControl };

epoll_event event_of(Source source, std::size_t slot) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = (std::uint64_t{slot} << 32) | static_cast<std::uint32_t>(source);
  return event;
}

/// What the worker knows of one supervisor.
struct Supervised {
  SupervisorEnds ends;
  Inbox inbox;
  std::string outbox;                         ///< Requests to be sent.
  std::deque<ProgramId> line;                 ///< The first runs, the others wait.
  std::array<ProgramId, kPipes> writes_to{};  ///< Whose output is in the pipe; 0: nobody's.

  bool gone() const { return ends.socket < 0; }
};

void add_request(std::string& outbox, const Request& request) {
  outbox.append(reinterpret_cast<const char*>(&request), sizeof request);
}

void add_launch(std::string& outbox, const Launch& launch, ProgramId program) {
  const std::size_t start = outbox.size();
  outbox.resize(start + sizeof(Request));
  const auto add = [&outbox](const std::string& text) { outbox.append(text.c_str(), text.size() + 1); };
  add(launch.directory);
  for (const std::string& argument : launch.argv) add(argument);
  for (const std::string& variable : launch.env) add(variable);
  Request request;
  request.kind = RequestKind::kLaunch;
  request.program = program;
  request.bytes = static_cast<std::uint32_t>(outbox.size() - start - sizeof(Request));
  request.arguments = static_cast<std::uint32_t>(launch.argv.size());
  request.variables = static_cast<std::uint32_t>(launch.env.size());
  request.grace_us = launch.grace.count();
  request.memory_bytes = launch.memory_bytes;
  std::memcpy(outbox.data() + start, &request, sizeof request);
}

Result<void> check(const Launch& launch) {
  if (launch.argv.empty() || launch.argv.front().empty()) return fail(ErrorCode::kInvalidInput, "no program to run");
  std::size_t bytes = launch.directory.size() + 1;
  const auto fits = [&bytes](const std::string& text) {
    bytes += text.size() + 1;
    return text.find('\0') == std::string::npos;
  };
  if (!std::all_of(launch.argv.begin(), launch.argv.end(), fits) ||
      !std::all_of(launch.env.begin(), launch.env.end(), fits)) {
    return fail(ErrorCode::kInvalidInput, "an argument or environment variable holds a NUL byte");
  }
  if (bytes > kLaunchBytesMax) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("arguments and environment take {} bytes, at most {} are possible; pass data in files",
                            bytes, kLaunchBytesMax));
  }
  return {};
}

}  // namespace

struct Spawner::State {
  Fence* fence = nullptr;
  std::string bounds;
  pid_t pid = -1;
  int control = -1;
  int epoll = -1;
  std::vector<Supervised> slots;
  std::vector<std::size_t> idle;
  std::vector<std::size_t> unsent;  ///< Slots with something in their outbox.
  std::unordered_map<ProgramId, std::size_t> slot_of;
  ProgramId last_program = 0;
  std::vector<char> piece = std::vector<char>(kPieceBytes);

  ~State() {
    close_all();
    if (pid > 0) (void)::waitpid(pid, nullptr, WNOHANG);
    if (epoll >= 0) ::close(epoll);
    if (fence != nullptr) ::munmap(static_cast<void*>(fence), sizeof(Fence));
  }

  void close_all() {
    for (Supervised& slot : slots) close_ends(slot);
    if (control >= 0) ::close(std::exchange(control, -1));
  }

  static void close_ends(Supervised& slot) {
    if (slot.gone()) return;
    ::close(std::exchange(slot.ends.socket, -1));
    for (int& output : slot.ends.outputs) ::close(std::exchange(output, -1));
  }

  bool watch(int fd, Source source, std::size_t slot) const {
    epoll_event event = event_of(source, slot);
    return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
  }

  void unwatch(int fd) const { (void)::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr); }

  Result<std::size_t> idle_slot() {
    if (idle.empty()) return new_slot();
    const std::size_t slot = idle.back();
    idle.pop_back();
    return slot;
  }

  Result<std::size_t> new_slot() {
    const Failure gone = fail(ErrorCode::kUnavailable, "the spawner process is gone; restart the worker");
    const auto place = std::find_if(slots.begin(), slots.end(), [](const Supervised& slot) { return slot.gone(); });
    if (place == slots.end() && slots.size() == kSlotsMax) {
      return fail(ErrorCode::kUnavailable, fmt::format("{} programs run already", kSlotsMax));
    }
    SupervisorEnds ends;
    if (control < 0 || !send_all(control, "n", 1) || !receive_ends(control, ends)) return gone;
    const std::size_t slot = static_cast<std::size_t>(place - slots.begin());
    if (place == slots.end()) slots.emplace_back();
    slots[slot] = Supervised{.ends = ends};
    const bool watched = watch(ends.socket, Source::kSocket, slot);
    for (const int output : ends.outputs) (void)::fcntl(output, F_SETFL, O_RDONLY | O_NONBLOCK);
    if (!watched) return gone;
    return slot;
  }

  ProgramId add_to_line(std::size_t slot, const Launch& launch) {
    const ProgramId program = ++last_program;
    slots[slot].line.push_back(program);
    slot_of.emplace(program, slot);
    add_launch(to(slot), launch, program);
    return program;
  }

  void request(RequestKind kind, ProgramId program, Duration grace) {
    const auto slot = slot_of.find(program);
    if (slot == slot_of.end()) return;
    add_request(to(slot->second), {.kind = kind, .program = program, .grace_us = grace.count()});
  }

  /// The slot's outbox, to be sent by flush().
  std::string& to(std::size_t slot) {
    if (slots[slot].outbox.empty()) unsent.push_back(slot);
    return slots[slot].outbox;
  }

  void flush() {
    for (const std::size_t slot : unsent) {
      std::string& outbox = slots[slot].outbox;
      // A supervisor that is gone is told by its end: its socket is readable then.
      if (!slots[slot].gone()) (void)send_all(slots[slot].ends.socket, outbox.data(), outbox.size());
      outbox.clear();
    }
    unsent.clear();
  }

  /// Up to `pieces` pieces of what is in the pipe.
  void read_output(std::size_t slot, std::uint32_t pipe, const SpawnerEvents& events, std::size_t pieces) {
    for (std::size_t i = 0; i < pieces && !slots[slot].gone(); ++i) {
      const ssize_t got = ::read(slots[slot].ends.outputs[pipe], piece.data(), piece.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return;
      const auto bytes = std::as_bytes(std::span(piece.data(), static_cast<std::size_t>(got)));
      if (const ProgramId program = slots[slot].writes_to[pipe]; program != 0) events.output(program, bytes);
    }
  }

  void take_answers(std::size_t slot, const SpawnerEvents& events) {
    if (slots[slot].gone()) return;
    const bool alive = slots[slot].inbox.fill(slots[slot].ends.socket);
    Answer answer;
    // Callbacks may add slots: no reference is kept across them.
    while (slots[slot].inbox.bytes().size() >= sizeof answer) {
      std::memcpy(&answer, slots[slot].inbox.bytes().data(), sizeof answer);
      slots[slot].inbox.take(sizeof answer);
      take_answer(slot, answer, events);
    }
    if (!alive) lose_supervisor(slot, events);
  }

  void take_answer(std::size_t slot, const Answer& answer, const SpawnerEvents& events) {
    std::deque<ProgramId>& line = slots[slot].line;
    const bool withdrawn = answer.kind == AnswerKind::kEnded && answer.end.kind == EndKind::kWithdrawn;
    CHAPPE_ASSERT(withdrawn || (!line.empty() && line.front() == answer.program));
    if (answer.kind == AnswerKind::kWrites) {
      slots[slot].writes_to[answer.pipe] = answer.program;
      (void)watch(slots[slot].ends.outputs[answer.pipe], static_cast<Source>(answer.pipe), slot);
      return;
    }
    if (answer.pipe != kNoPipe) take_last_output(slot, answer, events);
    std::erase(slots[slot].line, answer.program);
    if (slots[slot].line.empty()) idle.push_back(slot);
    end(answer.program, answer.end, events);
  }

  void take_last_output(std::size_t slot, const Answer& answer, const SpawnerEvents& events) {
    ProgramId& writer = slots[slot].writes_to[answer.pipe];
    if (std::exchange(writer, answer.program) != 0) unwatch(slots[slot].ends.outputs[answer.pipe]);
    read_output(slot, answer.pipe, events, kPiecesAfterEnd);
    slots[slot].writes_to[answer.pipe] = 0;
    add_request(to(slot), {.kind = RequestKind::kDrained, .pipe = answer.pipe});
  }

  void lose_supervisor(std::size_t slot, const SpawnerEvents& events) {
    for (std::uint32_t pipe = 0; pipe < kPipes; ++pipe) read_output(slot, pipe, events, kPiecesAfterEnd);
    const std::deque<ProgramId> line = std::exchange(slots[slot].line, {});
    close_ends(slots[slot]);
    std::erase(idle, slot);
    ProcessEnd lost;
    lost.kind = EndKind::kLost;
    lost.ended_at = boot_time();
    for (const ProgramId program : line) end(program, lost, events);  // Any of them may have started.
  }

  void end(ProgramId program, const ProcessEnd& how, const SpawnerEvents& events) {
    slot_of.erase(program);
    events.ended(program, how);
  }

  void lose_control() {
    (void)::epoll_ctl(epoll, EPOLL_CTL_DEL, control, nullptr);
    ::close(std::exchange(control, -1));
  }
};

Result<std::unique_ptr<Spawner>> Spawner::start(int lock_fd) {
  auto state = std::make_unique<State>();
  void* shared = ::mmap(nullptr, sizeof(Fence), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int sockets[2];
  if (shared == MAP_FAILED || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("start the spawner: {}", std::strerror(errno)));
  }
  state->fence = ::new (shared) Fence;
  const ControlGroups groups = ControlGroups::make();
  state->bounds = groups.described();
  state->pid = ::fork();
  if (state->pid == 0) run_zygote(sockets[1], lock_fd, *state->fence, groups);
  ::close(sockets[1]);
  state->control = sockets[0];
  state->epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (state->pid < 0 || state->epoll < 0 || !state->watch(state->control, Source::kControl, 0)) {
    return fail(ErrorCode::kUnavailable, fmt::format("start the spawner: {}", std::strerror(errno)));
  }
  return std::unique_ptr<Spawner>(new Spawner(std::move(state)));
}

Spawner::Spawner(std::unique_ptr<State> state) : state_(std::move(state)) {}
Spawner::~Spawner() = default;

Result<ProgramId> Spawner::launch(const Launch& launch) {
  if (auto fit = check(launch); !fit) return fail(std::move(fit.error()).in("launch"));
  const Result<std::size_t> slot = state_->idle_slot();
  if (!slot) return fail(slot.error());
  return state_->add_to_line(*slot, launch);
}

Result<ProgramId> Spawner::launch_behind(ProgramId front, const Launch& launch) {
  CHAPPE_ASSERT(can_wait_behind(front));
  if (auto fit = check(launch); !fit) return fail(std::move(fit.error()).in("launch"));
  return state_->add_to_line(state_->slot_of.at(front), launch);
}

bool Spawner::can_wait_behind(ProgramId front) const {
  const auto slot = state_->slot_of.find(front);
  if (slot == state_->slot_of.end()) return false;
  const std::deque<ProgramId>& line = state_->slots[slot->second].line;
  return line.back() == front && line.size() <= kLineMax;
}

void Spawner::stop(ProgramId program, Duration grace) { state_->request(RequestKind::kStop, program, grace); }

void Spawner::withdraw(ProgramId program) { state_->request(RequestKind::kWithdraw, program, {}); }

void Spawner::flush() { state_->flush(); }

int Spawner::fd() const { return state_->epoll; }

void Spawner::dispatch(const SpawnerEvents& events) {
  std::array<epoll_event, 64> ready{};
  const int count = ::epoll_wait(state_->epoll, ready.data(), static_cast<int>(ready.size()), 0);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t data = ready[static_cast<std::size_t>(i)].data.u64;
    const std::size_t slot = data >> 32;
    const std::uint32_t source = static_cast<std::uint32_t>(data);
    if (source < kPipes) {
      state_->read_output(slot, source, events, kPiecesPerDispatch);
    } else if (source == static_cast<std::uint32_t>(Source::kSocket)) {
      state_->take_answers(slot, events);
    } else if (state_->control >= 0) {
      state_->lose_control();
    }
  }
  state_->flush();
}

bool Spawner::alive() const { return state_->control >= 0; }

bool Spawner::finish(Duration wait) {
  state_->close_all();
  const MonoTime until = boot_time() + wait;
  if (state_->pid <= 0) return true;
  while (::waitpid(state_->pid, nullptr, WNOHANG) == 0) {
    if (boot_time() >= until) return false;
    (void)::poll(nullptr, 0, 2);
  }
  state_->pid = -1;
  return true;
}

Fence& Spawner::fence() { return *state_->fence; }

const std::string& Spawner::bounds() const { return state_->bounds; }

}  // namespace chappe::exec
