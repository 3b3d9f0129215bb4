#include "cli/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>

#include "cli/exit_code.h"
#include "cli/state_dir.h"
#include "dags/loader/yaml_tree.h"
#include "engine/base/text.h"

namespace chappe::cli {
namespace {

constexpr std::size_t kConfigMax = std::size_t{1} << 20;
constexpr std::size_t kMistakesMax = 20;
constexpr std::size_t kMistakeMax = 1'000;  // Bytes: a key may be as long as the file.
constexpr std::array kSections{"scheduler", "worker", "standalone"};
/// Options that a file cannot set: what names the file itself or asks for help, and what a file is no place for.
constexpr std::array kNotInAFile{"help", "version", "config", "token", "quit-with-parent"};

std::string environment_of(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

/// What is wrong as one line of bounded length, whatever the file holds.
std::string as_mistake(std::string_view place, std::string_view what) {
  std::string shown = printable(what);
  std::size_t size = std::min(shown.size(), kMistakeMax);
  while (size < shown.size() && (shown[size] & 0xC0) == 0x80) --size;  // No half of a character.
  if (size < shown.size()) shown.replace(size, std::string::npos, "...");
  return fmt::format("{}: {}", place, shown);
}

/// The name of an option in a file; "" where a file cannot set it.
std::string key_of(const CLI::Option& option) {
  if (option.get_lnames().empty()) return "";
  std::string name = option.get_lnames().front();
  if (std::ranges::find(kNotInAFile, name) != kNotInAFile.end()) return "";
  std::ranges::replace(name, '-', '_');
  return name;
}

/// A section's command; the whole at the top. Null: there is no such section.
const CLI::App* section_of(const CLI::App& app, const std::string& section) {
  if (section.empty()) return &app;
  return std::ranges::find(kSections, section) == kSections.end() ? nullptr : app.get_subcommand(section);
}

std::vector<std::string> keys_of(const CLI::App& command) {
  std::vector<std::string> keys;
  for (const CLI::Option* option : command.get_options()) {
    if (std::string key = key_of(*option); !key.empty()) keys.push_back(std::move(key));
  }
  return keys;
}

const CLI::Option* option_of(const CLI::App& command, const std::string& key) {
  for (const CLI::Option* option : command.get_options()) {
    if (key_of(*option) == key) return option;
  }
  return nullptr;
}

/// Reads one file, and collects what is wrong with it.
class Reader {
 public:
  Reader(const std::filesystem::path& file, const CLI::App& app) : file_(file), app_(app) {}

  Result<std::vector<Setting>> read(const std::string& text) {
    const yaml::Tree tree = yaml::parse(text);
    for (const yaml::Problem& problem : tree.problems) complain(problem.place, problem.message);
    if (tree.problems.empty() && tree.root != nullptr && !tree.root->is_null()) read_section("", *tree.root);
    if (mistakes_.empty()) return std::move(settings_);
    if (mistakes_.size() > kMistakesMax) mistakes_.resize(kMistakesMax);
    return fail(ErrorCode::kInvalidInput, fmt::format("{}", fmt::join(mistakes_, "\n")));
  }

 private:
  void complain(yaml::Place place, std::string_view message) {
    mistakes_.push_back(as_mistake(fmt::format("{}:{}:{}", file_.string(), place.line, place.column), message));
  }

  void read_section(const std::string& section, const yaml::Node& node) {
    const std::string where = section.empty() ? "the file" : fmt::format("'{}'", section);
    if (node.is_null()) return;
    if (!node.is_map()) return complain(node.place, fmt::format("{} must be a map of settings", where));
    const CLI::App& command = *section_of(app_, section);
    for (std::size_t i = 0; i < node.members(); ++i) {
      const std::string& key = node.key(i).text;
      if (section.empty() && section_of(app_, key) != nullptr && !key.empty()) {
        read_section(key, node.value(i));
      } else if (option_of(command, key) == nullptr) {
        complain(node.key(i).place, describe_unknown(section, key));
      } else {
        read_setting(section, key, node.value(i));
      }
    }
  }

  std::string describe_unknown(const std::string& section, const std::string& key) const {
    if (section.empty() && key == "token") {
      return "a token does not belong in a file that others may read: set CHAPPE_TOKEN";
    }
    for (const char* other : kSections) {
      if (other != section && option_of(*section_of(app_, other), key) != nullptr) {
        return fmt::format("'{}' belongs in the section '{}'", key, other);
      }
    }
    if (!section.empty() && option_of(app_, key) != nullptr) {
      return fmt::format("'{}' belongs at the top of the file, outside '{}'", key, section);
    }
    std::vector<std::string> known = keys_of(*section_of(app_, section));
    if (section.empty()) known.insert(known.end(), kSections.begin(), kSections.end());
    const auto near = nearest(key, known);
    return fmt::format("there is no setting '{}'{}", key, near ? fmt::format("; did you mean '{}'?", *near) : "");
  }

  void read_setting(const std::string& section, const std::string& key, const yaml::Node& node) {
    Setting setting{section, key, {}, fmt::format("{}:{}", file_.string(), node.place.line)};
    if (node.is_scalar()) {
      setting.values.push_back(node.text);
    } else if (node.is_list()) {
      for (const yaml::Node* element : node.children) add_value(setting, "", *element);
    } else {
      for (std::size_t i = 0; i < node.members(); ++i) add_value(setting, node.key(i).text + "=", node.value(i));
    }
    const bool many = option_of(*section_of(app_, section), key)->get_items_expected_max() > 1;
    if (setting.values.size() > 1 && !many) {
      return complain(node.place, fmt::format("'{}' takes one value", key));
    }
    settings_.push_back(std::move(setting));
  }

  void add_value(Setting& setting, const std::string& before, const yaml::Node& node) {
    if (!node.is_scalar()) return complain(node.place, fmt::format("'{}' takes texts and numbers", setting.name));
    setting.values.push_back(before + node.text);
  }

  const std::filesystem::path& file_;
  const CLI::App& app_;
  std::vector<Setting> settings_;
  std::vector<std::string> mistakes_;
};

const Setting* find_setting(const std::vector<Setting>& settings, std::string_view section, std::string_view name) {
  const auto found = std::ranges::find_if(
      settings, [&](const Setting& setting) { return setting.section == section && setting.name == name; });
  return found == settings.end() ? nullptr : &*found;
}

EffectiveSetting effective(const std::vector<Setting>& settings, const std::string& section,
                           const CLI::Option& option) {
  const std::string key = key_of(option);
  EffectiveSetting shown{section.empty() ? key : section + "." + key, "", "default"};
  const std::string from_environment = option.get_envname().empty() ? "" : environment_of(option.get_envname().c_str());
  const Setting* setting = find_setting(settings, section, key);
  // The environment and the file fill in what was not given, so results alone do not tell where they are from.
  if (!from_environment.empty() && (option.empty() || option.results() == std::vector{from_environment})) {
    shown.value = from_environment;
    shown.origin = option.get_envname();
  } else if (setting != nullptr && (option.empty() || option.results() == setting->values)) {
    shown.value = fmt::format("{}", fmt::join(setting->values, ", "));
    shown.origin = setting->place;
  } else if (!option.empty()) {
    shown.value = fmt::format("{}", fmt::join(option.results(), ", "));
    shown.origin = "option";
  }
  return shown;
}

}  // namespace

std::filesystem::path find_config_file(const std::string& given) {
  if (!given.empty()) return given;
  if (const std::string named = environment_of("CHAPPE_CONFIG"); !named.empty()) return named;
  std::vector<std::filesystem::path> places;
  if (const std::string xdg = environment_of("XDG_CONFIG_HOME"); xdg.starts_with('/')) {
    places.emplace_back(std::filesystem::path(xdg) / "chappe/chappe.yaml");
  } else if (const std::string home = environment_of("HOME"); !home.empty()) {
    places.emplace_back(std::filesystem::path(home) / ".config/chappe/chappe.yaml");
  }
  places.emplace_back("/etc/chappe/chappe.yaml");
  std::error_code failed;
  const auto there = std::ranges::find_if(places, [&](const auto& place) { return exists(place, failed); });
  return there == places.end() ? std::filesystem::path() : *there;
}

Result<std::vector<Setting>> read_config_file(const std::filesystem::path& file, const CLI::App& app) {
  const auto text = read_file(file, kConfigMax);
  if (!text) return fail(text.error());
  return Reader(file, app).read(*text);
}

Result<void> apply_settings(const std::vector<Setting>& settings, CLI::App& app) {
  for (const Setting& setting : settings) {
    CLI::App* command = setting.section.empty() ? &app : app.get_subcommand(setting.section);
    if (!setting.section.empty() && !command->parsed()) continue;
    for (CLI::Option* option : command->get_options()) {
      if (key_of(*option) != setting.name || !option->empty()) continue;
      try {
        option->add_result(setting.values);
        option->run_callback();
      } catch (const CLI::Error& error) {
        return fail(ErrorCode::kInvalidInput, as_mistake(setting.place, error.what()));
      }
    }
  }
  return {};
}

std::vector<EffectiveSetting> effective_settings(const std::vector<Setting>& settings, const CLI::App& app) {
  std::vector<EffectiveSetting> shown;
  const auto add = [&](const std::string& section) {
    for (const CLI::Option* option : section_of(app, section)->get_options()) {
      if (!key_of(*option).empty()) shown.push_back(effective(settings, section, *option));
    }
  };
  add("");
  for (const char* section : kSections) add(section);
  return shown;
}

std::vector<std::string> values_now(const std::vector<Setting>& settings, const std::vector<Setting>& fresh,
                                    const CLI::App& app, const std::string& section, const std::string& name) {
  const CLI::Option& option = *option_of(*section_of(app, section), name);
  const Setting* before = find_setting(settings, section, name);
  const bool given = !option.empty() && (before == nullptr || option.results() != before->values);
  if (given) return option.results();
  const Setting* now = find_setting(fresh, section, name);
  return now == nullptr ? std::vector<std::string>() : now->values;
}

std::vector<std::string> changed_settings(const std::vector<Setting>& before, const std::vector<Setting>& after,
                                          const std::string& section) {
  std::set<std::string> names;
  const auto compare = [&](const std::vector<Setting>& one, const std::vector<Setting>& other) {
    for (const Setting& setting : one) {
      if (!setting.section.empty() && setting.section != section) continue;
      const Setting* same = find_setting(other, setting.section, setting.name);
      if (same != nullptr && same->values == setting.values) continue;
      names.insert(setting.section.empty() ? setting.name : setting.section + "." + setting.name);
    }
  };
  compare(before, after);
  compare(after, before);
  return {names.begin(), names.end()};
}

int show_config(const Output& output, const std::vector<EffectiveSetting>& settings, bool with_origin) {
  std::vector<std::vector<std::string>> rows;
  ValueList items;
  for (const EffectiveSetting& setting : settings) {
    rows.push_back({setting.name, printable(setting.value)});
    ValueMap item{{"setting", setting.name}, {"value", setting.value}};
    if (with_origin) {
      rows.back().push_back(printable(setting.origin));
      item.emplace_back("origin", setting.origin);
    }
    items.emplace_back(std::move(item));
  }
  if (output.json) {
    print_json(ValueMap{{"items", std::move(items)}});
  } else {
    print(table(with_origin ? std::vector<std::string>{"setting", "value", "origin"}
                            : std::vector<std::string>{"setting", "value"},
                rows));
  }
  return kOk;
}

}  // namespace chappe::cli
