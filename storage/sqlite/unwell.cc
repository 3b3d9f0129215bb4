#include "storage/sqlite/unwell.h"

#include "storage/sqlite/tables.h"

namespace chappe::sqlite {

std::optional<TaskState> find_unwell(Connection& connection, RunSeq run, std::uint32_t first, std::uint32_t count) {
  if (count == 0) return std::nullopt;
  const std::int64_t begin = InstanceKey{run, first}.row();
  const std::int64_t end = InstanceKey{run, first + count - 1}.row();
  Statement found(connection,
                  "SELECT state FROM tasks WHERE id BETWEEN ?1 AND ?2 AND state NOT IN (7, 9) AND NOT (state = 8 AND "
                  "allowed) ORDER BY id LIMIT 1");
  if (found.query(begin, end).step()) return found.next<TaskState>();
  Statement counted(connection, "SELECT count(*) FROM tasks WHERE id BETWEEN ?1 AND ?2");
  counted.query(begin, end).step();
  if (counted.next<std::uint64_t>() == count) return std::nullopt;
  return TaskState::kCancelled;
}

}  // namespace chappe::sqlite
