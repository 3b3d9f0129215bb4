#include "scheduler/quarantine/strikes.h"

#include <algorithm>
#include <array>
#include <optional>

#include "engine/base/value.h"
#include "proto/json/json.h"

namespace chappe::quarantine {
namespace {

constexpr std::array kKinds{Kind::kRun, Kind::kDag, Kind::kText};

std::optional<Kind> parse_kind(std::string_view name) {
  const auto* found = std::find_if(kKinds.begin(), kKinds.end(), [&](Kind kind) { return name_of(kind) == name; });
  return found == kKinds.end() ? std::nullopt : std::optional(*found);
}

const std::string* text_of(const Value& map, std::string_view name) {
  const Value* member = map.find(name);
  return member == nullptr ? nullptr : member->as_string();
}

}  // namespace

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::kRun:
      return "run";
    case Kind::kDag:
      return "dag";
    case Kind::kText:
      return "text";
  }
  return "";
}

Result<Strikes> Strikes::parse(std::string_view json, std::string build) {
  const auto all = parse_json(json);
  const Value* things = all ? all->find("things") : nullptr;
  const std::string* by = all ? text_of(*all, "build") : nullptr;
  if (by == nullptr || things == nullptr || things->as_list() == nullptr) {
    return fail(ErrorCode::kCorrupt, "it is not what was written there");
  }
  Strikes strikes(std::move(build));
  if (*by != strikes.build_) return strikes;
  for (const Value& each : *things->as_list()) {
    const std::string* kind_name = text_of(each, "kind");
    const std::string* id = text_of(each, "id");
    const Value* count = each.find("strikes");
    const auto kind = kind_name == nullptr ? std::nullopt : parse_kind(*kind_name);
    if (!kind || id == nullptr || count == nullptr || count->as_int() == nullptr || *count->as_int() < 1) {
      return fail(ErrorCode::kCorrupt, "it is not what was written there");
    }
    const auto most = std::int64_t{kStrikesMax};
    strikes.add(*kind, *id, static_cast<std::uint32_t>(std::min(*count->as_int(), most)));
  }
  return strikes;
}

std::string Strikes::to_json() const {
  ValueList things;
  for (const auto& [thing, count] : strikes_) {
    things.emplace_back(
        ValueMap{{"kind", name_of(thing.first)}, {"id", thing.second}, {"strikes", std::int64_t{count}}});
  }
  return chappe::to_json(ValueMap{{"build", build_}, {"things", std::move(things)}});
}

void Strikes::add(Kind kind, const std::string& id, std::uint32_t strikes) {
  const std::pair key(kind, id);
  if (strikes_.size() >= kThingsMax && !strikes_.contains(key)) return;
  std::uint32_t& count = strikes_[key];
  count = std::min(count + strikes, kStrikesMax);
}

std::uint32_t Strikes::of(Kind kind, const std::string& id) const {
  const auto found = strikes_.find({kind, id});
  return found == strikes_.end() ? 0 : found->second;
}

bool Strikes::are_enough(Kind kind, const std::string& id) const { return of(kind, id) >= kStrikesMax; }

std::size_t Strikes::left_alone() const {
  return static_cast<std::size_t>(
      std::count_if(strikes_.begin(), strikes_.end(), [](const auto& each) { return each.second >= kStrikesMax; }));
}

}  // namespace chappe::quarantine
