// Who is told what comes to a run.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dags/loader/complaints.h"
#include "dags/loader/keys.h"
#include "dags/loader/loader.h"
#include "dags/loader/read_dag.h"
#include "dags/loader/yaml_tree.h"
#include "engine/base/text.h"

namespace chappe {
namespace {

using yaml::Node;

constexpr std::size_t kWordsMax = 50;

/// Good enough to find slips: whether somebody reads it only the mail server knows. No blanks or controls: an address
/// goes into a header.
bool is_address(std::string_view text) {
  const std::size_t at = text.find('@');
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c != 0x7f && c != ','; });
  return plain && at != std::string_view::npos && at > 0 && at + 1 < text.size();
}

/// "${{ secrets.NAME }}", and nothing else.
bool is_secret(std::string_view text) {
  constexpr std::string_view kBegin = "${{ secrets.";
  constexpr std::string_view kEnd = " }}";
  if (!text.starts_with(kBegin) || !text.ends_with(kEnd) || text.size() <= kBegin.size() + kEnd.size()) return false;
  return is_identifier(text.substr(kBegin.size(), text.size() - kBegin.size() - kEnd.size()));
}

/// For a message of one line.
std::string shown(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  return fmt::format("'{}'", text.substr(0, 100));
}

class NotifyReader {
 public:
  /// `dag`: whose `owner` it is; null: that of any DAG, as long as nobody says which.
  NotifyReader(Reader& reader, const Dag* dag) : reader_(reader), complaints_(reader.complaints()), dag_(dag) {}

  void read(const Node& node, std::vector<NotifyChannel>& into) {
    if (!reader_.check_keys(node, keys::kNotify)) return;
    NotifyChannel channel;
    const Node* on = node.find("on");
    if (on == nullptr) complaints_.error(node, "an item of 'notify' needs 'on', as in on: [failure]");
    if (on != nullptr && reader_.is_list(*on, "on", "[failure, recovered]")) read_notices(channel, *on);
    const auto ways = std::count_if(kWays.begin(), kWays.end(), [&](auto way) { return node.find(way) != nullptr; });
    if (ways != 1) return complaints_.error(node, "an item of 'notify' needs one of 'webhook', 'email' and 'command'");
    if (const Node* webhook = node.find("webhook")) read_webhook(channel, *webhook);
    if (const Node* email = node.find("email")) read_addresses(channel, *email);
    if (const Node* command = node.find("command")) read_command(channel, *command);
    into.push_back(std::move(channel));
  }

 private:
  static constexpr std::array<std::string_view, 3> kWays{"webhook", "email", "command"};

  void read_notices(NotifyChannel& channel, const Node& list) {
    const std::vector<std::string> names(kNoticeNames.begin(), kNoticeNames.end());
    for (const Node* each : list.children) {
      const auto found = reader_.choice(*each, "on", names);
      if (found) channel.on.push_back(static_cast<Notice>(*found));
    }
    if (list.children.empty()) complaints_.error(list, "'on' is empty, so nobody would be told");
  }

  void read_webhook(NotifyChannel& channel, const Node& node) {
    const auto text = reader_.text(node, "webhook");
    if (!text) return;
    if (!text->starts_with("https://") && !text->starts_with("http://") && !is_secret(*text)) {
      complaints_.error(node, "'webhook' needs a URL, or \"${{ secrets.NAME }}\", which keeps it out of this file");
    }
    channel.target = *text;
  }

  void read_words(NotifyChannel& channel, const Node& node, std::string_view what, std::string_view example) {
    if (!reader_.is_list(node, what, example)) return;
    for (const Node* each : node.children) {
      if (auto text = reader_.text(*each, what)) channel.words.push_back(std::move(*text));
    }
    if (node.children.empty() || node.children.size() > kWordsMax) {
      complaints_.error(node, fmt::format("'{}' needs 1 to {} items", what, kWordsMax));
    }
  }

  void read_addresses(NotifyChannel& channel, const Node& node) {
    channel.kind = NotifyChannel::Kind::kEmail;
    read_words(channel, node, "email", "[ann@example.org]");
    for (std::string& address : channel.words) {
      const bool owner = address == kNotifyOwner;
      if (owner && dag_ == nullptr) continue;
      if (owner) address = dag_->owner;
      if (is_address(address)) continue;
      complaints_.error(node, owner ? "'owner' stands for the DAG's 'owner', which is no address"
                                    : fmt::format("{} is no address", shown(address)));
    }
  }

  void read_command(NotifyChannel& channel, const Node& node) {
    channel.kind = NotifyChannel::Kind::kCommand;
    read_words(channel, node, "command", "[page]");
  }

  Reader& reader_;
  Complaints& complaints_;
  const Dag* dag_;
};

std::vector<NotifyChannel> read_channels(Reader& reader, const Dag* dag, const yaml::Node& node) {
  std::vector<NotifyChannel> channels;
  if (!reader.is_list(node, "notify", "[{on: [failure], email: [owner]}]")) return channels;
  if (node.children.size() > kChannelsMax) {
    reader.complaints().error(node, fmt::format("more than {} ways to be told", kChannelsMax));
    return channels;
  }
  NotifyReader one(reader, dag);
  for (const yaml::Node* each : node.children) one.read(*each, channels);
  return channels;
}

}  // namespace

void read_notify(Reader& reader, Dag& dag, const yaml::Node& node) {
  dag.says_notify = true;
  dag.notify = read_channels(reader, &dag, node);
}

Result<std::vector<NotifyChannel>> load_notify_default(std::string_view text, std::string_view file) {
  Complaints complaints(text, file);
  yaml::Tree tree = yaml::parse(text);
  for (yaml::Problem& problem : tree.problems) complaints.error(problem.place, std::move(problem.message));
  std::vector<NotifyChannel> channels;
  Reader reader(complaints);
  const Node* notify = nullptr;
  if (tree.root == nullptr || tree.root->is_null()) {
    if (!complaints.failed()) complaints.error(yaml::Place{}, "the file is empty; it needs 'notify'");
  } else if (reader.check_keys(*tree.root, keys::kNotifyFile)) {
    notify = tree.root->find("notify");
    if (notify == nullptr) complaints.error(*tree.root, "the file needs 'notify', as in a DAG file");
  }
  if (notify != nullptr) channels = read_channels(reader, nullptr, *notify);
  if (!complaints.failed()) return channels;
  std::string what;
  for (const Diagnostic& one : complaints.take()) what += (what.empty() ? "" : "\n") + one.text();
  return fail(ErrorCode::kInvalidInput, std::move(what));
}

}  // namespace chappe
