//! What else a run tells, as tables that every report shows in its own way.
//!
//! A section is one function and one line in [`all`]; one that has nothing to tell is left out.

mod changed;
mod errors;
mod ownership;

use std::borrow::Cow;

use serde::Serialize;

use crate::fmt;
use crate::fold::RunState;
use crate::invariants::describe_applied;

/// A table with a title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// What it is about, and of which cluster, where there are several.
    pub title: Cow<'static, str>,
    /// A sentence on how to read it.
    pub about: &'static str,
    /// Heads of the columns.
    pub columns: &'static [&'static str],
    /// Rows, as many cells as there are columns.
    pub rows: Vec<Row>,
    /// Rows that were too many to show.
    pub hidden: u64,
    /// A rule whose finding tells the same in its details.
    #[serde(skip)]
    pub told_by: Option<&'static str>,
}

/// A row of a [`Section`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its cells; a cell may have several lines.
    pub cells: Vec<String>,
    /// Whether it deserves attention.
    pub bad: bool,
}

impl Row {
    fn new(bad: bool, cells: impl IntoIterator<Item = String>) -> Self {
        Self { cells: cells.into_iter().collect(), bad }
    }
}

impl Section {
    /// The section with so many rows at most.
    #[must_use]
    pub fn at_most(mut self, rows: usize) -> Self {
        self.hidden += self.rows.len().saturating_sub(rows) as u64;
        self.rows.truncate(rows);
        self
    }

    /// How many more rows there are, in words.
    pub fn more(&self) -> Option<String> {
        (self.hidden > 0).then(|| format!("and {} more", fmt::number(self.hidden)))
    }
}

/// Every section that has something to tell, in the order of reports.
pub fn all(run: &RunState) -> Vec<Section> {
    /// What makes a section, and whether it makes one for each cluster.
    type Maker = (fn(&RunState) -> Section, bool);
    let makers: [Maker; 7] = [
        (self_proof, false),
        (faults, true),
        (commits, true),
        (ownership::section, true),
        (changed::section, true),
        (errors::section, true),
        (clocks, false),
    ];
    let views = run.views();
    let made = makers.into_iter().flat_map(|(make, of_each_cluster)| {
        let views = if of_each_cluster { &views[..] } else { &views[..1] };
        views.iter().map(move |view| {
            let mut section = make(&view.run);
            if let Some(cluster) = view.cluster.filter(|_| of_each_cluster) {
                section.title = format!("{} of {cluster}", section.title).into();
            }
            section
        })
    });
    made.filter(|section| !section.rows.is_empty()).collect()
}

fn self_proof(run: &RunState) -> Section {
    let rows = run.cluster.self_proofs.iter().map(|proof| {
        let outcome = if proof.passed { "passed" } else { "failed" };
        Row::new(!proof.passed, [proof.check.clone(), outcome.into(), run.when(proof.at), proof.message.clone()])
    });
    Section {
        title: "Self-proof".into(),
        about: "what the probes were put to the test with before they were trusted",
        columns: &["check", "outcome", "known at", "what the probes said"],
        rows: rows.collect(),
        hidden: 0,
        told_by: Some("self-proof"),
    }
}

fn faults(run: &RunState) -> Section {
    let rows = run.cluster.faults.iter().map(|fault| {
        let took = format!("{} (± {})", fmt::precise(fault.span.len()), fmt::precise(fault.margin));
        let (from, to) = (run.when(fault.span.from), run.when(fault.span.to));
        Row::new(false, [fault.fault.clone(), fault.target.clone(), from, to, took])
    });
    Section {
        title: "Faults".into(),
        about: "what was broken on purpose",
        columns: &["fault", "what was hit", "from", "to", "for"],
        rows: rows.collect(),
        hidden: 0,
        told_by: None,
    }
}

fn commits(run: &RunState) -> Section {
    let rows = run.commits().into_iter().map(|commit| {
        let took = commit.took().map_or("not applied".to_owned(), fmt::precise);
        let by = describe_applied(&commit);
        Row::new(commit.took().is_none(), [commit.revision.clone(), run.when(commit.at), took, by])
    });
    Section {
        title: "Commits".into(),
        about: "from a commit to the first object that had applied it",
        columns: &["revision", "pushed at", "applied after", "by"],
        rows: rows.collect(),
        hidden: 0,
        told_by: Some("reconciles"),
    }
}

fn clocks(run: &RunState) -> Section {
    let mut agents: Vec<&str> = run.cluster.clocks.items.iter().map(|(_, clock)| clock.agent.as_str()).collect();
    agents.sort_unstable();
    agents.dedup();
    let rows = agents.into_iter().filter_map(|agent| {
        let mut looks = run.cluster.clocks.items.iter().filter(|(_, clock)| clock.agent == agent);
        let count = looks.clone().count() as u64;
        let (at, last) = looks.next_back()?;
        let sign = if last.offset < 0 { "−" } else { "+" };
        let offset =
            format!("{sign}{} (± {})", fmt::duration(last.offset.unsigned_abs()), fmt::duration(last.uncertainty));
        Some(Row::new(false, [agent.to_owned(), offset, run.when(*at), fmt::number(count)]))
    });
    Section {
        title: "Clocks of the agents".into(),
        about: "how each stood to the run's, by which its samples are recorded",
        columns: &["agent", "ahead by", "last asked at", "asked"],
        rows: rows.collect(),
        hidden: 0,
        told_by: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::testing::{MS, Record, SECOND};

    pub(in crate::report) fn told() -> Record {
        let clock = |offset| EventKind::AgentClock { agent: "ferry-worker".into(), offset, uncertainty: 400_000 };
        Record::migrated()
            .with(
                6 * SECOND,
                EventKind::SelfProof { check: "rollout".into(), passed: true, message: "none failed".into() },
            )
            .with(
                7 * SECOND,
                EventKind::SelfProof { check: "outage".into(), passed: false, message: "not seen".into() },
            )
            .with(
                15 * SECOND,
                EventKind::Fault {
                    fault: "cut".into(),
                    target: "deployment/apps/web".into(),
                    from: 14_000 * MS,
                    to: 14_300 * MS,
                    margin: 12 * MS,
                },
            )
            .commit(16 * SECOND, "main@sha1:9c3b7e1")
            .with(5 * SECOND, clock(-3_000_000))
            .with(17 * SECOND, clock(2_500_000))
    }

    fn show(section: &Section) -> String {
        let mut lines = vec![format!("{}: {}", section.title, section.columns.join(" | "))];
        lines.extend(section.rows.iter().map(|row| {
            let bad = if row.bad { "! " } else { "  " };
            format!("{bad}{}", row.cells.join(" | "))
        }));
        lines.join("\n")
    }

    #[test]
    fn what_was_done_is_told() {
        let run = told().fold();
        let shown: Vec<String> = [self_proof, faults, commits, clocks].map(|make| show(&make(&run))).into();
        insta::assert_snapshot!(shown.join("\n"), @r"
        Self-proof: check | outcome | known at | what the probes said
          rollout | passed | 12:00:06.000 (+0:06.000) | none failed
        ! outage | failed | 12:00:07.000 (+0:07.000) | not seen
        Faults: fault | what was hit | from | to | for
          cut | deployment/apps/web | 12:00:14.000 (+0:14.000) | 12:00:14.300 (+0:14.300) | 300 ms (± 12 ms)
        Commits: revision | pushed at | applied after | by
        ! main@sha1:9c3b7e1 | 12:00:16.000 (+0:16.000) | not applied | 
        Clocks of the agents: agent | ahead by | last asked at | asked
          ferry-worker | +2 ms (± 400 µs) | 12:00:17.000 (+0:17.000) | 2
        ");
    }

    #[test]
    fn nothing_to_tell_is_left_out() {
        assert_eq!(all(&Record::good().fold()), []);
        let run = told().fold();
        let sections = all(&run);
        assert!(sections.len() > 4, "{sections:#?}");
        for section in sections {
            assert!(section.rows.iter().all(|row| row.cells.len() == section.columns.len()), "{}", section.title);
        }
    }

    #[test]
    fn what_is_cut_off_is_counted() {
        let rows = vec![Row::new(false, []); 12];
        let section = Section { rows, hidden: 3, ..self_proof(&RunState::default()) }.at_most(10);
        assert_eq!((section.rows.len(), section.more().as_deref()), (10, Some("and 5 more")));
    }
}
