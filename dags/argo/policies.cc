// Retries, time-outs, resources, locks; and all that has no place here.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "dags/argo/workflow.h"
#include "dags/loader/scalar.h"
#include "engine/base/time.h"
#include "engine/expr/expression.h"

namespace chappe::argo {

using yaml::Node;

namespace {

constexpr std::int64_t kRetriesMax = 1'000;

/// What an attempt left, for a condition of a retry.
class LastRetry : public expr::Scope {
 public:
  explicit LastRetry(std::string code) : code_(std::move(code)) {}
  std::optional<Value> resolve(std::span<const std::string> path) const override {
    if (path[0] != "lastRetry") return std::nullopt;
    return Value(ValueMap{{"exitCode", code_}, {"status", "Failed"}});
  }

 private:
  std::string code_;
};

}  // namespace

/// Argo's seconds, or a number with its unit, as a duration here.
std::optional<std::string> Importer::duration_of(const Node& node, std::optional<std::size_t> task) {
  constexpr std::int64_t kSecondsMax = std::int64_t{10} * 365 * 86'400;
  const auto seconds = integer_of(&node);
  auto parsed = parse_duration(node.is_scalar() ? node.text : "");
  if (seconds && *seconds > 0 && *seconds <= kSecondsMax) return to_text(Duration(std::chrono::seconds(*seconds)));
  if (parsed && parsed->count() > 0) return to_text(*parsed);
  note(node, "this is no length of time that can be taken over", task);
  return std::nullopt;
}

void Importer::write_policies(Yaml& out, std::size_t task, const Site& site) {
  const Node& body = *tasks_[task].body;
  const Node* deadline = body.find("activeDeadlineSeconds");
  if (const Node* timeout = body.find("timeout")) {
    note_once(*timeout, "'timeout' of a template counts while the task waits, too; here it is that of one attempt");
    if (deadline == nullptr) deadline = timeout;
  }
  if (deadline != nullptr) {
    if (const auto length = duration_of(*deadline, task)) out.set("timeout", Yaml::text(*length));
  }
  const Node* retry = body.find("retryStrategy");
  if (retry == nullptr) retry = spec_->find("retryStrategy");
  if (retry != nullptr && retry->is_map()) write_retry(out, task, *retry);
  for (const std::string_view key : {"container", "script"}) {
    const Node* container = body.find(key);
    const Node* resources = container == nullptr ? nullptr : container->find("resources");
    if (resources != nullptr) write_resources(out, task, *resources);
  }
  write_sidecars(out, task, site);
  if (const Node* synchronization = body.find("synchronization")) write_locks(out, task, *synchronization, site);
  if (const Node* memoize = body.find("memoize")) write_cache(out, task, *memoize, site);
  if (const auto priority = integer_of(body.find("priority")); priority && std::abs(*priority) <= 1'000'000) {
    out.set("priority", Yaml::number(*priority));
  }
  note_keys(body,
            {"name",
             "inputs",
             "outputs",
             "container",
             "script",
             "suspend",
             "dag",
             "steps",
             "resource",
             "http",
             "data",
             "containerSet",
             "plugin",
             "activeDeadlineSeconds",
             "timeout",
             "retryStrategy",
             "synchronization",
             "sidecars",
             "memoize",
             "priority",
             "metadata",
             "parallelism",
             "failFast",
             "archiveLocation"},
            "a template's", task);
}

/// Argo finds a result by its key in a config map, whatever the workflow; Chappe in the namespace, task by task.
void Importer::write_cache(Yaml& out, std::size_t task, const Node& memoize, const Site& site) {
  const Node* key = memoize.find("key");
  const bool works = tasks_[task].body->find("container") != nullptr || tasks_[task].body->find("script") != nullptr;
  if (!works || key == nullptr || !key->is_scalar() || key->text.empty()) {
    return note(memoize, "'memoize' is taken over with a key, of a template that runs something", task);
  }
  Yaml whole = Yaml::map();
  whole.set("key", Yaml::text(as_template(resolve(*key, site), task))).set("scope", Yaml::text("namespace"));
  const Node* age = memoize.find("maxAge");
  if (const auto ttl = age == nullptr ? std::nullopt : duration_of(*age, task)) whole.set("ttl", Yaml::text(*ttl));
  out.set("cache", std::move(whole));
  note_once(memoize, "a result is found by its key and the task's id; 'cache: auto' would look at what makes it");
}

// ---- Retries ------------------------------------------------------------------------------------------------------

void Importer::write_retry(Yaml& out, std::size_t task, const Node& retry) {
  const auto given = integer_of(retry.find("limit"));
  if (!given || *given < 0 || *given > kRetriesMax) {
    note(retry, fmt::format("without such a 'limit' Argo goes on for ever; here it is {}", kRetriesMax), task);
  }
  const std::int64_t limit = std::clamp<std::int64_t>(given.value_or(kRetriesMax), 0, kRetriesMax);
  const std::string policy = text_of(retry, "retryPolicy");
  const bool errors_only = policy == "OnError" || policy == "OnTransientError";
  Yaml whole = Yaml::map().set("limit", Yaml::number(limit));
  const Node* expression = retry.find("expression") != nullptr ? retry.find("expression") : retry.find("when");
  if (expression != nullptr && !errors_only) write_retry_condition(whole, task, *expression);
  Yaml pause = Yaml::map();
  if (const Node* backoff = retry.find("backoff")) write_backoff(pause, whole, *backoff, limit, task);
  if (!pause.empty()) whole.set("backoff", pause);
  if (!errors_only) out.set("retry", std::move(whole));
  if (errors_only || policy == "Always") {
    Yaml infra = Yaml::map().set("limit", Yaml::number(limit));
    if (!pause.empty()) infra.set("backoff", std::move(pause));
    out.set("infra_retry", std::move(infra));
  }
  if (errors_only) {
    note_once(retry, fmt::format("'{}' became 'infra_retry': lost workers and unreachable storage", policy));
  }
  if (const Node* affinity = retry.find("affinity")) {
    note(*affinity, "'affinity' of a retry is not taken over; see 'avoid_same_worker'", task);
  }
}

void Importer::write_backoff(Yaml& out, Yaml& whole, const Node& backoff, std::int64_t limit, std::size_t task) {
  const Node* duration = backoff.find("duration");
  const auto initial = duration == nullptr ? std::nullopt : duration_of(*duration, task);
  if (!initial) return;
  out.set("initial", Yaml::text(*initial));
  const auto factor = std::clamp<std::int64_t>(integer_of(backoff.find("factor")).value_or(1), 1, 100);
  out.set("factor", Yaml::number(factor));
  const Node* cap = backoff.find("cap");
  if (const auto most = cap == nullptr ? std::nullopt : duration_of(*cap, task)) {
    out.set("max", Yaml::text(*most));
  } else {
    // Without a ceiling of its own the rest stays below ten minutes here, and grows without end in Argo.
    constexpr double kTenMinutes = 600, kWeek = 7 * 86'400;
    const double first = std::chrono::duration<double>(*parse_duration(*initial)).count();
    const double last = std::min(kWeek, first * std::pow(static_cast<double>(factor), static_cast<double>(limit)));
    if (last > kTenMinutes) {
      out.set("max", Yaml::text(to_text(Duration(std::chrono::seconds(std::llround(std::max(first, last)))))));
    }
  }
  if (const Node* longest = backoff.find("maxDuration")) {
    if (const auto length = duration_of(*longest, task)) whole.set("max_elapsed", Yaml::text(*length));
  }
}

/// Conditions over exit codes: asked for each code that there is, they become the list of those that are tried again.
void Importer::write_retry_condition(Yaml& out, std::size_t task, const Node& expression) {
  constexpr int kCodeMax = 255;
  std::string text = expression.is_scalar() ? expression.text : "";
  if (text.starts_with("{{=") && text.ends_with("}}")) text = text.substr(3, text.size() - 5);
  for (const auto& [theirs, ours] :
       {std::pair("asInt(", "int("), {"asFloat(", "float("}, {" and ", " && "}, {" or ", " || "}}) {
    for (std::size_t at = 0; (at = text.find(theirs, at)) != std::string::npos; at += std::string_view(ours).size()) {
      text.replace(at, std::string_view(theirs).size(), ours);
    }
  }
  const auto parsed = expr::Expression::parse(text);
  Yaml codes = Yaml::list();
  bool all = true, known = parsed.has_value();
  for (int code = 1; known && code <= kCodeMax; ++code) {
    const auto again = parsed->evaluate_condition(LastRetry(std::to_string(code)));
    known = again.has_value();
    all = all && known && *again;
    if (known && *again) codes.add(Yaml::number(code));
  }
  const auto without = known ? parsed->evaluate_condition(LastRetry("-1")) : Result<bool>(false);
  if (!known || !without) {
    note(expression, "only conditions over exit codes are taken over: it is tried again after any failure", task);
    return;
  }
  if (codes.empty()) {
    note(expression, "it is never tried again", task);
    return;
  }
  if (!*without) out.set("on", Yaml::list().add(Yaml::text("exit_code")));
  if (!all) out.set("exit_codes", std::move(codes));
}

// ---- Resources ----------------------------------------------------------------------------------------------------

namespace {

/// "512Mi" as it is, "1G" as "1GB", bytes as Ki; "" for what is no size.
std::string memory_of(std::string text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  if (digits == 0) return "";
  const std::string unit = text.substr(digits);
  if (unit == "Ki" || unit == "Mi" || unit == "Gi" || unit == "Ti") return text;
  if (unit == "M" || unit == "G" || unit == "T") return text + "B";
  if (unit == "k") return text.substr(0, digits) + "KB";
  std::int64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  constexpr std::int64_t kKi = 1024;
  if (!unit.empty() || error != std::errc() || bytes <= 0) return "";
  return fmt::format("{}Ki", (bytes - 1) / kKi + 1);
}

}  // namespace

void Importer::write_resources(Yaml& out, std::size_t task, const Node& resources) {
  const Node* requests = resources.find("requests");
  const Node* limits = resources.find("limits");
  const auto value = [&](std::string_view key, bool limit_first) {
    const Node* first = limit_first ? limits : requests;
    const Node* second = limit_first ? requests : limits;
    std::string text = first == nullptr ? "" : text_of(*first, key);
    return text.empty() && second != nullptr ? text_of(*second, key) : text;
  };
  Yaml whole = Yaml::map();
  if (const std::string cpu = value("cpu", false); !cpu.empty() && cpu.find("{{") == std::string::npos) {
    whole.set("cpu", Yaml::number_or_text(cpu));
  }
  if (const std::string memory = value("memory", true); !memory.empty()) {
    const std::string size = memory_of(memory);
    if (size.empty()) note(resources, fmt::format("'{}' is no size of memory that can be taken over", memory), task);
    if (!size.empty()) whole.set("memory", Yaml::text(size));
  }
  if (const std::string gpus = value("nvidia.com/gpu", false); !gpus.empty())
    whole.set("gpu", Yaml::number_or_text(gpus));
  if (!whole.empty()) out.set("resources", std::move(whole));
}

// ---- Locks --------------------------------------------------------------------------------------------------------

void Importer::write_locks(Yaml& out, std::size_t task, const Node& synchronization, const Site& site) {
  Yaml list = Yaml::list();
  const auto add = [&](const Node& node, bool exclusive) {
    const Node* reference =
        node.find("configMapKeyRef") != nullptr ? node.find("configMapKeyRef") : node.find("database");
    const Node* key = reference != nullptr ? reference->find("key") : node.find("name");
    const Node* name = key != nullptr ? key : reference != nullptr ? reference->find("key") : nullptr;
    const std::string text = name == nullptr ? "" : as_template(resolve(*name, site), task);
    if (text.empty()) return note(node, "this lock has no name that can be taken over", task);
    if (exclusive) {
      list.add(Yaml::text(text));
    } else {
      note_once(node, fmt::format("tell the scheduler how many places a semaphore has: --lock {}=N", text));
      list.add(Yaml::map().set("name", Yaml::text(text)).set("mode", Yaml::text("semaphore")));
    }
  };
  if (const Node* mutex = synchronization.find("mutex")) add(*mutex, true);
  for (const Node* mutex : list_in(&synchronization, "mutexes")) add(*mutex, true);
  if (const Node* semaphore = synchronization.find("semaphore")) add(*semaphore, false);
  for (const Node* semaphore : list_in(&synchronization, "semaphores")) add(*semaphore, false);
  if (!list.empty()) out.set("locks", std::move(list));
}

}  // namespace chappe::argo
