#include "tests/simulation/batch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <new>

#include "engine/base/assert.h"
#include "tests/simulation/world.h"

namespace chappe {

Mutant planted_mutant = Mutant::kNone;

namespace simulation {
namespace {

/// What a process of the batch leaves in memory that it shares with the one that started it.
struct Report {
  std::uint64_t seed = 0;  ///< Under way.
  std::uint64_t seeds = 0;
  bool broken = false;
  Law law = Law::kAssertion;
  std::array<char, 4096> message{};
  Seen seen;
};

class Job {
 public:
  Job(const BatchPlan& plan, std::uint32_t number) {
    void* memory = ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHAPPE_ASSERT(memory != MAP_FAILED);
    report_ = new (memory) Report;
    pid_ = ::fork();
    CHAPPE_ASSERT(pid_ >= 0);
    if (pid_ == 0) live(plan, number);
  }
  ~Job() { ::munmap(report_, sizeof(Report)); }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  void wait() {
    int status = 0;
    CHAPPE_ASSERT(::waitpid(pid_, &status, 0) == pid_);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    report_->broken = true;
    const bool hangs = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    report_->law = hangs ? Law::kBounds : Law::kAssertion;
    say(hangs ? "it hangs" : fmt::format("the process ends with status {:#x}", status));
  }
  const Report& report() const { return *report_; }

 private:
  void say(const std::string& message) {
    std::strncpy(report_->message.data(), message.c_str(), report_->message.size() - 1);
  }

  [[noreturn]] void live(const BatchPlan& plan, std::uint32_t number) {
    if (plan.seconds_max > 0) ::alarm(plan.seconds_max);
    if (plan.quiet) ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    planted_mutant = plan.mutant;
    for (std::uint64_t i = number; i < plan.seeds && !report_->broken; i += plan.jobs) {
      report_->seed = plan.from + i;
      ++report_->seeds;
      World world(report_->seed, plan.reduction);
      const Ending verdict = world.live();
      report_->seen.add(world.seen);
      if (!verdict.violation) continue;
      report_->broken = true;
      report_->law = verdict.violation->law;
      say(verdict.violation->message);
    }
    ::_exit(0);
  }

  Report* report_ = nullptr;
  ::pid_t pid_ = -1;
};

}  // namespace

BatchResult run_batch(const BatchPlan& plan) {
  std::vector<std::unique_ptr<Job>> jobs;
  for (std::uint32_t number = 0; number < plan.jobs; ++number) jobs.push_back(std::make_unique<Job>(plan, number));
  BatchResult result;
  for (const auto& job : jobs) {
    job->wait();
    const Report& report = job->report();
    result.seen.add(report.seen);
    result.seeds += report.seeds;
    const bool first = report.broken && (!result.finding || report.seed < result.finding->seed);
    if (first) result.finding = Finding{report.seed, {report.law, report.message.data()}};
  }
  return result;
}

namespace {

bool still_fails(const Finding& finding, Mutant mutant, const Reduction& reduction) {
  const BatchResult result =
      run_batch({.from = finding.seed, .reduction = reduction, .mutant = mutant, .seconds_max = 60, .quiet = true});
  return result.finding && result.finding->violation.law == finding.violation.law;
}

void lower(const Finding& finding, Mutant mutant, Reduction& reduction, std::optional<std::uint32_t> Reduction::*bound,
           std::uint32_t highest) {
  for (std::uint32_t value = 1; value < highest; ++value) {
    Reduction smaller = reduction;
    smaller.*bound = value;
    if (!still_fails(finding, mutant, smaller)) continue;
    reduction = smaller;
    return;
  }
}

}  // namespace

Reduction minimise(const Finding& finding, Mutant mutant, Reduction reduction) {
  for (std::size_t i = 0; i < kFaults; ++i) {
    const auto fault = static_cast<Fault>(i);
    if (!make_plan(finding.seed, reduction).knows(fault)) continue;
    Reduction smaller = reduction;
    smaller.without.push_back(fault);
    if (still_fails(finding, mutant, smaller)) reduction = smaller;
  }
  const Plan plan = make_plan(finding.seed, reduction);
  lower(finding, mutant, reduction, &Reduction::runs_max, plan.runs);
  lower(finding, mutant, reduction, &Reduction::workers_max, plan.workers);
  lower(finding, mutant, reduction, &Reduction::tasks_max, plan.tasks_max);
  return reduction;
}

}  // namespace simulation
}  // namespace chappe
