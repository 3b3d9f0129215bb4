#include "engine/model/triggers.h"

#include <algorithm>

namespace chappe {
namespace {

/// Joins what is not empty; in brackets where it stands within another.
std::string join_parts(const std::vector<std::string>& parts, std::string_view word, bool inner) {
  std::string out;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!out.empty()) (out += ' ').append(word) += ' ';
    out += part;
  }
  const bool several = std::count_if(parts.begin(), parts.end(), [](const auto& part) { return !part.empty(); }) > 1;
  return inner && several ? "(" + out + ")" : out;
}

std::string missing_text(const TriggerCondition& condition, const TriggerCondition::Has& has, bool inner) {
  if (condition.kind == TriggerCondition::Kind::kSource) return has(condition.source) ? "" : to_text(condition.source);
  if (condition.holds(has)) return "";
  std::vector<std::string> parts;
  for (const TriggerCondition& part : condition.parts) parts.push_back(missing_text(part, has, true));
  return join_parts(parts, condition.kind == TriggerCondition::Kind::kAll ? "and" : "or", inner);
}

}  // namespace

std::string_view name_of(EventSource::Kind kind) {
  switch (kind) {
    case EventSource::Kind::kAsset:
      return "asset";
    case EventSource::Kind::kDag:
      return "dag";
    case EventSource::Kind::kObject:
      return "s3";
    case EventSource::Kind::kHook:
      return "webhook";
  }
  return "";
}

bool is_pattern(std::string_view object_name) { return object_name.find_first_of("*?") != std::string_view::npos; }

std::string to_text(const EventSource& source) { return std::string(name_of(source.kind)) + " " + source.name; }

bool TriggerCondition::holds(const Has& has) const {
  const auto part_holds = [&](const TriggerCondition& part) { return part.holds(has); };
  switch (kind) {
    case Kind::kSource:
      return has(source);
    case Kind::kAll:
      return std::all_of(parts.begin(), parts.end(), part_holds);
    case Kind::kAny:
      return std::any_of(parts.begin(), parts.end(), part_holds);
  }
  return false;
}

std::string TriggerCondition::missing(const Has& has) const { return missing_text(*this, has, false); }

std::string TriggerCondition::text() const {
  return missing([](const EventSource&) { return false; });
}

void TriggerCondition::collect(std::vector<EventSource>& into) const {
  if (kind == Kind::kSource) into.push_back(source);
  for (const TriggerCondition& part : parts) part.collect(into);
}

EventSource::Kind TriggerSpec::kind() const {
  const TriggerCondition* at = &when;
  while (at->kind != TriggerCondition::Kind::kSource) at = &at->parts.front();
  return at->source.kind;
}

bool TriggerSpec::concerns(RunState end) const {
  return (end == RunState::kSuccess && on_success) || (end == RunState::kFailed && on_failed) ||
         (end == RunState::kCancelled && on_cancelled);
}

std::string to_text(const std::vector<TriggerSpec>& triggers) {
  std::string out;
  for (const TriggerSpec& trigger : triggers) out += (out.empty() ? "" : ", or ") + trigger.when.text();
  return out;
}

}  // namespace chappe
