/// \file
/// What services mean for the tasks around them, once all are read.
#pragma once

#include <string>
#include <vector>

#include "dags/loader/complaints.h"
#include "dags/loader/reader.h"
#include "dags/loader/yaml_tree.h"
#include "engine/model/dag.h"

namespace chappe {

/// The path that answers when somebody is ready.
std::string read_ready_path(Reader& reader, const yaml::Node& node);
/// What a fan-out over objects depends on, its listing waits for; but a service must be up for the items, too.
void move_service_edges(Dag& dag);
/// `nodes`: by task, to complain of it. Requires: the services are indexed.
void check_services(Complaints& complaints, const Dag& dag, const std::vector<const yaml::Node*>& nodes,
                    const yaml::Node& root);

}  // namespace chappe
