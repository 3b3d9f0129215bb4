#include "engine/expr/dates.h"

#include <fmt/format.h>

#include <utility>

#include "engine/calendar/moment.h"

namespace chappe::expr {
namespace {

using calendar::Clock;
using calendar::Moment;
using calendar::Unit;
using calendar::Zone;
using calendar::ZonePtr;

/// Reads the arguments of one call. What is wrong with one of them is kept, and told in the place of any result.
class DateCall {
 public:
  DateCall(std::string_view name, std::span<Value> arguments, const Zone& zone)
      : name_(name), arguments_(arguments), zone_(&zone) {}

  std::string text(std::size_t at, std::string_view what) {
    const auto* text = arguments_[at].as_string();
    if (text != nullptr) return *text;
    refuse(fmt::format("needs {}, not {}", what, arguments_[at].type_name()));
    return {};
  }

  Moment moment(std::size_t at) {
    const std::string written = text(at, "a date or a time as text");
    return taken(wrong_ ? Result<Moment>(Moment{}) : calendar::parse_moment(written));
  }

  Unit unit(std::size_t at) {
    const std::string written = text(at, "a unit such as 'day'");
    return taken(wrong_ ? Result<Unit>(Unit::kDay) : calendar::parse_unit(written));
  }

  std::int64_t count(std::size_t at) {
    if (const auto* count = arguments_[at].as_int()) return *count;
    refuse(fmt::format("needs an integer, not {}", arguments_[at].type_name()));
    return 0;
  }

  std::string pattern(std::size_t at, bool reads) {
    std::string written = text(at, "a pattern such as '%Y-%m-%d'");
    if (wrong_) return {};
    if (auto mistake = calendar::pattern_mistake(written, reads)) refuse(*std::move(mistake));
    return written;
  }

  /// The zone that the argument names, if there is one.
  void name_zone(std::size_t at) {
    if (at >= arguments_.size()) return;
    const std::string name = text(at, "the name of a time zone");
    if (wrong_) return;
    auto found = Zone::find(name);
    if (!found) return refuse(std::move(found.error().message));
    named_ = *std::move(found);
    zone_ = named_.get();
  }

  const Zone& zone() const { return *zone_; }
  Clock clock(const Moment& moment) const {
    const bool its_own = named_ == nullptr && moment.form == Moment::Form::kOffset;
    return its_own ? Clock(moment.offset) : Clock(*zone_);
  }

  bool wrong() const { return wrong_.has_value(); }
  Failure why() const { return fail(ErrorCode::kInvalidInput, fmt::format("{}(): {}", name_, *wrong_)); }
  Failure why(const Error& error) const {
    return fail(ErrorCode::kInvalidInput, fmt::format("{}(): {}", name_, error.message));
  }
  Result<Value> answer(const Result<Moment>& moment) const {
    if (!moment) return why(moment.error());
    return Value(calendar::to_text(*moment));
  }

 private:
  void refuse(std::string what) {
    if (!wrong_) wrong_ = std::move(what);
  }
  template <typename T>
  T taken(Result<T> result) {
    if (result) return *std::move(result);
    refuse(std::move(result.error().message));
    return T{};
  }

  std::string_view name_;
  std::span<Value> arguments_;
  const Zone* zone_;
  ZonePtr named_;
  std::optional<std::string> wrong_;
};

Result<Value> on_moment(std::string_view name, std::span<Value> arguments, const Zone& zone,
                        Result<Moment> (*how)(const Moment&, Unit, const Clock&)) {
  DateCall call(name, arguments, zone);
  const Moment moment = call.moment(0);
  const Unit unit = call.unit(1);
  call.name_zone(2);
  if (call.wrong()) return call.why();
  return call.answer(how(moment, unit, call.clock(moment)));
}

}  // namespace

Result<Value> date_of(std::span<Value> arguments, const Zone& zone) {
  DateCall call("date", arguments, zone);
  const Moment moment = call.moment(0);
  call.name_zone(1);
  if (call.wrong()) return call.why();
  const auto shown = wall_clock(moment, call.clock(moment));
  if (!shown) return call.why(shown.error());
  return Value(calendar::write_pattern("%F", *shown));
}

Result<Value> date_add(std::span<Value> arguments, const Zone& zone) {
  DateCall call("date_add", arguments, zone);
  const Moment moment = call.moment(0);
  const std::int64_t count = call.count(1);
  const Unit unit = call.unit(2);
  call.name_zone(3);
  if (call.wrong()) return call.why();
  return call.answer(add(moment, count, unit, call.clock(moment)));
}

Result<Value> date_diff(std::span<Value> arguments, const Zone& zone) {
  DateCall call("date_diff", arguments, zone);
  const Moment start = call.moment(0), end = call.moment(1);
  const Unit unit = call.unit(2);
  call.name_zone(3);
  if (call.wrong()) return call.why();
  const auto units = difference(start, end, unit, call.clock(start.is_date() ? end : start));
  if (!units) return call.why(units.error());
  return Value(*units);
}

Result<Value> date_start_of(std::span<Value> arguments, const Zone& zone) {
  return on_moment("start_of", arguments, zone, calendar::start_of);
}

Result<Value> date_end_of(std::span<Value> arguments, const Zone& zone) {
  return on_moment("end_of", arguments, zone, calendar::end_of);
}

Result<Value> date_in_zone(std::span<Value> arguments, const Zone& zone) {
  DateCall call("in_zone", arguments, zone);
  const std::string text = call.text(0, "a date or a time as text");
  call.name_zone(1);
  if (call.wrong()) return call.why();
  return call.answer(calendar::in_zone(text, call.zone()));
}

Result<Value> date_strftime(std::span<Value> arguments, const Zone& zone) {
  DateCall call("strftime", arguments, zone);
  const Moment moment = call.moment(0);
  const std::string pattern = call.pattern(1, false);
  call.name_zone(2);
  if (call.wrong()) return call.why();
  const auto shown = wall_clock(moment, call.clock(moment));
  if (!shown) return call.why(shown.error());
  return Value(calendar::write_pattern(pattern, *shown));
}

Result<Value> date_strptime(std::span<Value> arguments, const Zone& zone) {
  DateCall call("strptime", arguments, zone);
  const std::string text = call.text(0, "a text");
  const std::string pattern = call.pattern(1, true);
  call.name_zone(2);
  if (call.wrong()) return call.why();
  const auto read = calendar::read_pattern(text, pattern);
  if (!read) return call.why(read.error());
  return call.answer(calendar::moment_of(*read, Clock(call.zone())));
}

std::string literal_mistake(const Function& function, Argument kind, const Value& literal) {
  const std::string_view type = type_of(kind);
  if (!type.empty() && type != literal.type_name()) {
    return fmt::format("{}() needs {} here, not {}: write {}", function.name,
                       type == "integer" ? "an integer" : "a text", literal.type_name(), function.signature);
  }
  const auto* text = literal.as_string();
  const auto mistake = [](const auto& result) { return result ? std::string() : result.error().message; };
  switch (kind) {
    case Argument::kAny:
    case Argument::kText:
    case Argument::kCount:
      return "";
    case Argument::kWhen:
      return mistake(calendar::parse_moment(*text));
    case Argument::kLocalWhen:
      return mistake(calendar::in_zone(*text, *Zone::utc()));
    case Argument::kUnit:
      return mistake(calendar::parse_unit(*text));
    case Argument::kZone:
      return mistake(Zone::find(*text));
    case Argument::kPattern:
      return calendar::pattern_mistake(*text, false).value_or("");
    case Argument::kReadPattern:
      break;
  }
  return calendar::pattern_mistake(*text, true).value_or("");
}

std::string_view type_of(Argument kind) {
  if (kind == Argument::kAny) return "";
  return kind == Argument::kCount ? "integer" : "string";
}

}  // namespace chappe::expr
