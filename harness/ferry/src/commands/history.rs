//! `ferry history`: the runs of the past.

use std::process::ExitCode;

use ferry_record::report::headline;
use ferry_record::report::text::{Style, columns};
use ferry_record::{Judgement, fmt};

use super::report::{nearest, style};
use crate::cli::{HistoryArgs, OutputFormat};
use crate::edge::{Exit, Problem};
use crate::history::{self, Entry, Store, StoreError};

/// Lists the runs of the past.
pub fn history(arguments: &HistoryArgs) -> Result<ExitCode, Problem> {
    let file = history::file(arguments.history.as_deref(), &arguments.folder.reports);
    let runs = match Store::open_existing(&file).map_err(unusable)? {
        Some(store) => find(&store, arguments)?,
        None => vec![],
    };
    match arguments.format {
        OutputFormat::Text if runs.is_empty() => println!("no history yet: {} holds no run", file.display()),
        OutputFormat::Text => print!("{}", table(&runs, &style())),
        OutputFormat::Json => {
            let text = serde_json::to_string_pretty(&runs)
                .map_err(|e| Problem::infra("the history cannot be written as JSON").because(e))?;
            println!("{text}");
        }
    }
    Ok(Exit::Pass.into())
}

fn find(store: &Store, arguments: &HistoryArgs) -> Result<Vec<Entry>, Problem> {
    if let Some(scenario) = &arguments.scenario {
        let known = store.scenarios().map_err(unusable)?;
        if !known.contains(scenario) {
            let hint = nearest(scenario, &known).map(|nearest| format!("did you mean {nearest}?"));
            return Err(Problem::usage(format!("the history holds no run of {scenario}")).hint(hint));
        }
    }
    store.newest(arguments.scenario.as_deref(), arguments.last).map_err(unusable)
}

fn unusable(error: StoreError) -> Problem {
    let hint = error.hint().to_owned();
    Problem::infra("the history cannot be read").because(error).hint(hint)
}

/// A line for each run. Its p99 is that of its slowest probe.
fn table(runs: &[Entry], style: &Style) -> String {
    let head = ["run", "scenario", "cell", "verdict", "took", "p99", "failed", "longest outage"];
    let row = |run: &Entry| {
        let judgement = Judgement { verdict: run.verdict, as_expected: run.as_expected, findings: vec![] };
        let p99 = run.probes.iter().filter_map(|probe| probe.p99_us).max();
        vec![
            run.run.clone(),
            run.scenario.clone(),
            run.cell.clone(),
            headline(&judgement),
            fmt::duration(run.total_ns),
            p99.map_or("–".into(), fmt::latency),
            fmt::number(run.failed),
            run.longest_outage_ns.map_or("–".into(), fmt::precise),
        ]
    };
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned).to_vec()).chain(runs.iter().map(row)).collect();
    columns(&rows, 4, style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ReportsFolder;
    use crate::history::testing::entry;
    use ferry_record::Verdict;

    fn ask(folder: &tempfile::TempDir, scenario: Option<&str>) -> HistoryArgs {
        HistoryArgs {
            scenario: scenario.map(Into::into),
            format: OutputFormat::Text,
            last: 20,
            history: None,
            folder: ReportsFolder { reports: folder.path().into() },
        }
    }

    #[test]
    fn a_line_for_each_run() {
        let mut failed =
            Entry { verdict: Verdict::Fail, as_expected: false, failed: 6, ..entry("20261121-130000-ghjk") };
        failed.longest_outage_ns = Some(300_000_000);
        let mut cancelled = Entry { verdict: Verdict::Cancelled, as_expected: false, ..entry("20261121-140000-mnpq") };
        cancelled.probes.clear();
        let runs = [cancelled, failed, entry("20261121-120000-bcdf")];
        insta::assert_snapshot!(table(&runs, &Style::plain()), @r"
          run                   scenario                cell            verdict     took     p99  failed  longest outage
          20261121-140000-mnpq  single-tenant/official  k8s_1_34::kind  cancelled  1m00s       –       0               –
          20261121-130000-ghjk  single-tenant/official  k8s_1_34::kind  fail       1m00s  4.0 ms       6          300 ms
          20261121-120000-bcdf  single-tenant/official  k8s_1_34::kind  pass       1m00s  4.0 ms       0               –
        ");
    }

    #[test]
    fn a_scenario_without_runs_is_told_with_the_nearest_that_has_some() {
        let folder = tempfile::tempdir().unwrap();
        let file = history::file(None, folder.path());
        Store::open(&file).unwrap().add(&entry("r"), 20).unwrap();
        let store = Store::open_existing(&file).unwrap().unwrap();
        assert_eq!(find(&store, &ask(&folder, Some("single-tenant/official"))).unwrap(), [entry("r")]);
        let problem = find(&store, &ask(&folder, Some("single-tenant/oficial"))).unwrap_err();
        assert_eq!(problem.to_string(), "the history holds no run of single-tenant/oficial");
        assert_eq!(problem.help_text().unwrap(), "did you mean single-tenant/official?");
    }
}
