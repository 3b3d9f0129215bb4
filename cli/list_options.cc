#include "cli/list_options.h"

#include <fmt/format.h>

#include "cli/api_client.h"

namespace chappe::cli {

void add_page_options(CLI::App* command, PageOptions& options) {
  command->add_option("--since", options.since, "From this time on, or not longer ago than, such as 7d");
  command->add_option("--until", options.until, "Before this time, or longer ago than");
  command->add_option("--limit", options.limit, "At most so many")->check(CLI::Range(1U, 1'000U));
  command->add_option("--after", options.after, "Go on behind an earlier page: the 'next' of its JSON");
}

Result<std::string> time_or_age(const std::string& text, WallTime now) {
  if (const auto age = parse_duration(text)) {
    if (age->count() >= now.us) return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is too long ago", text));
    return to_iso8601(now + -*age);
  }
  const auto time = parse_iso8601(text);
  if (time) return to_iso8601(*time);
  return fail(
      ErrorCode::kInvalidInput,
      fmt::format("'{}' is neither a time, such as 2026-11-20 or 2026-11-20T03:00:00Z, nor an age, such as 7d", text));
}

Result<std::string> page_query(const PageOptions& options, WallTime now) {
  std::string query = fmt::format("limit={}", options.limit);
  if (!options.after.empty()) query += "&after=" + segment(options.after);
  for (const auto& [name, text] : {std::pair("since", &options.since), std::pair("until", &options.until)}) {
    if (text->empty()) continue;
    const auto time = time_or_age(*text, now);
    if (!time) return fail(Error(time.error()).in(fmt::format("--{}", name)));
    query += fmt::format("&{}={}", name, segment(*time));
  }
  return query;
}

}  // namespace chappe::cli
