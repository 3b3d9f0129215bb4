#include "scheduler/quarantine/quarantine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>

#include "engine/ports/log.h"

namespace chappe::quarantine {
namespace {

namespace fs = std::filesystem;

constexpr std::array kCrashes{SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
constexpr const char* kCrashFile = "crash";

/// What a thread is at: written to a file as it is.
struct AtHand {
  InHand engine;
  std::array<char, 80> text{};  ///< SHA-256 in hex.
};

struct Book {
  fs::path file;
  Save save;
  Strikes strikes;
};

std::mutex mutex;            // NOLINT: signals are of the process, and so is this.
std::optional<Book> book;    // NOLINT: beneath it.
volatile int crash_fd = -1;  // NOLINT: for the handler, which may lock nothing.

/// A stack that overflowed cannot carry its own handler.
class SpareStack {
 public:
  SpareStack() : memory_(new char[kSize]) {
    const stack_t stack{.ss_sp = memory_.get(), .ss_flags = 0, .ss_size = kSize};
    (void)sigaltstack(&stack, nullptr);
  }
  ~SpareStack() {
    const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    (void)sigaltstack(&none, nullptr);
  }
  SpareStack(const SpareStack&) = delete;
  SpareStack& operator=(const SpareStack&) = delete;

 private:
  static constexpr std::size_t kSize = 64 * 1024;
  std::unique_ptr<char[]> memory_;
};

thread_local constinit AtHand at_hand;
thread_local std::unique_ptr<SpareStack> spare_stack;

AtHand& mine() {
  if (spare_stack == nullptr) spare_stack = std::make_unique<SpareStack>();
  return at_hand;
}

/// Then the signal does what it always does.
extern "C" void note_crash(int) {
  const int saved = errno;
  if (crash_fd >= 0) (void)!pwrite(crash_fd, &at_hand, sizeof at_hand, 0);
  errno = saved;
}

void watch_for_crashes() {
  struct sigaction action {};
  action.sa_handler = note_crash;
  action.sa_flags = SA_ONSTACK | static_cast<int>(SA_RESETHAND);
  for (const int signal : kCrashes) (void)sigaction(signal, &action, nullptr);
}

/// Another build has another time or size.
std::string this_build() {
  struct stat self {};
  if (::stat("/proc/self/exe", &self) != 0) return "";
  return fmt::format("{}-{}-{}", self.st_size, self.st_mtim.tv_sec, self.st_mtim.tv_nsec);
}

void remember(const Book& open_book) {
  const auto written = open_book.save(open_book.file, open_book.strikes.to_json() + "\n");
  if (!written) log::error("what is to be left alone is not remembered: {}", written.error().message);
}

/// Nullopt: the last life did not end with a crash.
std::optional<AtHand> read_crash(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  AtHand found;
  in.read(reinterpret_cast<char*>(&found), sizeof found);
  if (in.gcount() != sizeof found) return std::nullopt;
  found.engine.dag.back() = found.text.back() = '\0';
  return found;
}

void strike(Strikes& strikes, Kind kind, const std::string& id) {
  strikes.add(kind, id);
  log::error("the scheduler crashed while it was at {} {}, {} of {} times", name_of(kind), id, strikes.of(kind, id),
             kStrikesMax);
}

/// What a text was read for does not count besides.
void count_crash(Strikes& strikes, const AtHand& crash) {
  if (crash.text[0] != '\0')
    strike(strikes, Kind::kText, crash.text.data());
  else if (crash.engine.run)
    strike(strikes, Kind::kRun, std::to_string(crash.engine.run.value));
  else if (crash.engine.dag[0] != '\0')
    strike(strikes, Kind::kDag, crash.engine.dag.data());
  else
    log::error("the scheduler crashed while it was at nothing that could be left alone");
}

Result<Strikes> read_strikes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return Strikes(this_build());
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  auto strikes = Strikes::parse(text, this_build());
  if (!strikes) return fail(std::move(strikes.error()).in(file.string() + ": remove it, and start again"));
  return strikes;
}

}  // namespace

Result<void> open(const fs::path& folder, Save save) {
  auto strikes = read_strikes(folder / kFile);
  if (!strikes) return fail(std::move(strikes.error()));
  const fs::path crash_file = folder / kCrashFile;
  const auto crash = read_crash(crash_file);
  if (crash) count_crash(*strikes, *crash);
  const std::lock_guard lock(mutex);
  book.emplace(Book{folder / kFile, std::move(save), *std::move(strikes)});
  if (crash) remember(*book);  // Before what tells of it is gone.
  crash_fd = ::open(crash_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (crash_fd < 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: {}", crash_file.string(), std::strerror(errno)));
  }
  watch_for_crashes();
  return {};
}

InHand& engine_hand() { return mine().engine; }

Hold::Hold(Kind kind, const std::string& id) {
  AtHand& hand = mine();
  if (kind == Kind::kText) hand.text[id.copy(hand.text.data(), hand.text.size() - 1)] = '\0';
  if (kind == Kind::kDag) InHand::take(&hand.engine, std::string_view(id));
  if (kind == Kind::kRun) InHand::take(&hand.engine, RunSeq{static_cast<std::uint32_t>(std::stoul(id))});
}

Hold::~Hold() { at_hand = {}; }

bool is_left_alone(Kind kind, const std::string& id) {
  const std::lock_guard lock(mutex);
  return book && book->strikes.are_enough(kind, id);
}

std::size_t count() {
  const std::lock_guard lock(mutex);
  return book ? book->strikes.left_alone() : 0;
}

void leave_alone(Kind kind, const std::string& id) {
  const std::lock_guard lock(mutex);
  if (!book) return;
  book->strikes.add(kind, id, kStrikesMax);
  remember(*book);
}

std::string complaint() { return fmt::format("left alone: it brought the scheduler down {} times", kStrikesMax); }

}  // namespace chappe::quarantine
