/// \file
/// The configuration file: YAML whose keys are the long options of the command line, so that there is one list of
/// settings. Options of all commands stand at the top, those of a daemon in its section:
///
///   object_store: s3://bucket/chappe
///   scheduler:
///     listen: 0.0.0.0:7330
///     pool: {database: 4}       # --pool database=4
///   worker:
///     taint: [gpu]
///
/// What was given as an option or in the environment stands above what the file says.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output.h"
#include "engine/base/result.h"

namespace chappe::cli {

/// One setting as a file has it.
struct Setting {
  std::string section;  ///< "" at the top.
  std::string name;
  std::vector<std::string> values;  ///< As the option's words.
  std::string place;                ///< "FILE:LINE"
};

/// Where a setting's value is from, and what it is.
struct EffectiveSetting {
  std::string name;    ///< "scheduler.listen"
  std::string value;   ///< "" where it is left to the program.
  std::string origin;  ///< "FILE:LINE", the name of an environment variable, "option", or "default".
};

/// `given`, or CHAPPE_CONFIG, or the first that is there of $XDG_CONFIG_HOME/chappe/chappe.yaml (~/.config without
/// that) and /etc/chappe/chappe.yaml; "": none.
std::filesystem::path find_config_file(const std::string& given);

/// All settings of a file, against the options that `app` and its daemons have.
/// Errors: kInvalidInput: all mistakes, a line each, as FILE:LINE:COLUMN with the nearest right name.
Result<std::vector<Setting>> read_config_file(const std::filesystem::path& file, const CLI::App& app);

/// Gives each option of the parsed `app` that was not given the file's value. Errors: kInvalidInput: a value that the
/// option refuses.
Result<void> apply_settings(const std::vector<Setting>& settings, CLI::App& app);

/// All that a file can set, in the order of --help. Values of options that hold secrets are left out.
std::vector<EffectiveSetting> effective_settings(const std::vector<Setting>& settings, const CLI::App& app);
/// The values that `name` is given by the file `fresh`, unless it was given otherwise than by the file `settings`.
std::vector<std::string> values_now(const std::vector<Setting>& settings, const std::vector<Setting>& fresh,
                                    const CLI::App& app, const std::string& section, const std::string& name);
/// Names ("scheduler.listen") of what two files say differently, at the top and in the section.
std::vector<std::string> changed_settings(const std::vector<Setting>& before, const std::vector<Setting>& after,
                                          const std::string& section);
/// As a table or JSON; `with_origin`: and where each is from.
int show_config(const Output& output, const std::vector<EffectiveSetting>& settings, bool with_origin);

}  // namespace chappe::cli
