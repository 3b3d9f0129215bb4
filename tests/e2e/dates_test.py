"""Dates in expressions, in the zone of the DAG: names of partitions, last month's file, the week."""

import unittest

from cluster import Answer, Cluster

NIGHTLY = """
name: nightly
timezone: Europe/Berlin
env:
  DAY: "${{ run.date }}"
  LAST_MONTH: "${{ strftime(date_add(run.date, -1, 'month'), '%Y-%m') }}"
params: {since: {type: string, default: 01.11.2026}}
tasks:
  - id: load
    env:
      WEEK: "${{ strftime(run.date, '%G-W%V') }}"
      AGE: "${{ date_diff(strptime(params.since, '%d.%m.%Y'), run.date, 'days') }}"
      BEGAN: "${{ in_zone(run.logical_time) }}"
    run: echo "$DAY $LAST_MONTH $WEEK $AGE $BEGAN ${{ strftime(run.date, '%Y%m%d') }}"
  - id: close_month
    when: run.date == end_of(run.date, 'month')
    run: echo closed
  - id: days
    foreach:
      items: "${{ [date_add(run.date, -1, 'day'), run.date] }}"
      as: day
      key: "${{ strftime(day, '%d') }}"
    run: echo "$CHAPPE_ITEM"
"""


class Dates(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()
        self.cluster.start_worker()

    def run_of(self, logical_time: str) -> str:
        run = self.cluster.post("/api/v1/runs", {"dag_yaml": NIGHTLY, "logical_time": logical_time})["id"]
        self.cluster.wait_for_run(run, "success")
        return run

    def test_a_run_is_about_the_day_of_its_zone(self) -> None:
        run = self.run_of("2026-11-19T23:30:00Z")
        self.assertEqual(self.cluster.log(run, "load"), "2026-11-20 2026-10 2026-W47 19 2026-11-20T00:30:00+01:00 20261120\n")
        self.assertEqual(self.cluster.task(run, "close_month")["state"], "skipped")
        self.assertEqual(self.cluster.log(run, "days[19]"), '"2026-11-19"\n')
        self.assertEqual(self.cluster.log(run, "days[20]"), '"2026-11-20"\n')

    def test_the_last_day_of_the_month_is_one_there(self) -> None:
        run = self.run_of("2026-11-29T23:30:00Z")
        self.assertEqual(self.cluster.log(run, "close_month"), "closed\n")

    def test_mistakes_are_told_before_a_run(self) -> None:
        for wrong, told in (
            ("strftime(run.date, 'YYYYMMDD')", "did you mean '%Y%m%d'?"),
            ("date_add(run.date, 1, 'dais')", "did you mean 'day'?"),
            ("ds_add(run.date, 1)", "there is no function 'ds_add'"),
        ):
            with self.assertRaises(Answer) as caught:
                self.cluster.submit(f'{{name: d, tasks: [{{id: t, env: {{A: "${{{{ {wrong} }}}}"}}, run: "true"}}]}}')
            self.assertIn(told, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
