// What a task shares with others: locks, bounds over all runs, rates.
#include <fmt/format.h>

#include "dags/loader/keys.h"
#include "dags/loader/task_reader.h"

namespace chappe {

using yaml::Node;

void TaskReader::read_gates(Task& task, const Node& node) {
  constexpr std::int64_t kPlacesMax = 1'000'000;
  constexpr std::size_t kLocksMax = 16;
  if (const Node* locks = node.find("locks"); locks != nullptr && reader_.is_list(*locks, "locks", "[database]")) {
    for (const Node* lock : locks->children) read_lock(task, *lock);
    if (task.locks.size() > kLocksMax) complaints_.error(*locks, fmt::format("more than {} locks", kLocksMax));
  }
  reader_.take_integer(node, "max_active_per_dag", 1, kPlacesMax, task.max_active_per_dag);
  const Node* rate = node.find("rate");
  if (rate == nullptr || !reader_.check_keys(*rate, keys::kRate)) return;
  RateLimit& out = task.rate.emplace();
  reader_.take_integer(*rate, "limit", 1, kPlacesMax, out.limit);
  reader_.take_identifier(*rate, "name", out.name);
  std::optional<Duration> per;
  reader_.take_duration(*rate, "per", per);
  out.per = per.value_or(out.per);
  for (const std::string_view key : {"limit", "per"}) {
    if (rate->find(key) == nullptr) {
      complaints_.error(*rate, fmt::format("'rate' needs '{}', as in {{limit: 10, per: 1m}}", key));
    }
  }
}

/// A name, alone or with a mode.
void TaskReader::read_lock(Task& task, const Node& node) {
  const Node* name = &node;
  LockUse lock;
  if (!node.is_scalar()) {
    if (!reader_.check_keys(node, keys::kLock)) return;
    name = node.find("name");
    if (name == nullptr) return complaints_.error(node, "a lock needs a 'name'");
    const std::vector<std::string> modes = {"mutex", "semaphore"};
    if (const Node* mode = node.find("mode")) lock.exclusive = reader_.choice(*mode, "mode", modes) != 1U;
  }
  auto text = names_.parse_template(*name, site::kLock, "name");
  if (!text) return;
  if (text->text().empty()) return complaints_.error(*name, "a lock needs a 'name'");
  for (const LockUse& other : task.locks) {
    if (other.name.text() == text->text())
      complaints_.error(*name, fmt::format("lock '{}' stands twice", text->text()));
  }
  lock.name = std::move(*text);
  task.locks.push_back(std::move(lock));
}

}  // namespace chappe
