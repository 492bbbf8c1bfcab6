//! `ferry run`: one trial or many, one after the other.

use std::path::Path;
use std::process::ExitCode;

use ferry_scenario::Diagnostics;

use super::scenarios::show;
use super::trials::{self, Loaded};
use crate::cli::RunArgs;
use crate::edge::{Exit, Problem};
use crate::view::Screen;

/// Runs the chosen trials and prints the summary of each. `ferry` is the program that runs' reapers are started from.
pub fn run(arguments: &RunArgs, ferry: &Path) -> Result<ExitCode, Problem> {
    if arguments.names.is_empty() && arguments.select.is_empty() {
        return Err(Problem::usage("what to run is not said")
            .hint("name a scenario, such as single-tenant/official, or choose by --suite or --filter".to_string()));
    }
    let Some(trials) = trials::select(&arguments.names, &arguments.select, &arguments.folder)? else {
        return Ok(Exit::Usage.into());
    };
    if trials.is_empty() {
        return Err(Problem::usage("nothing to run: no trial is left of the selection")
            .hint("`ferry list` with the same arguments shows what they choose".to_string()));
    }
    // Everything is checked before anything starts: a typo in the last one must not cost the time of the others.
    let (mut ready, mut found, mut broken) = (vec![], vec![], false);
    for trial in &trials {
        let checked = trial.check(&arguments.select.sets())?;
        broken |= checked.loaded.is_none();
        for diagnostic in checked.found {
            // Cells and shared fleets repeat what is wrong.
            if !found.contains(&diagnostic) {
                found.push(diagnostic);
            }
        }
        ready.extend(checked.loaded.map(|loaded| (trial.name(), loaded)));
    }
    show(&Diagnostics::from(found));
    if broken {
        return Ok(Exit::Usage.into());
    }
    let mut ends = vec![];
    for (name, loaded) in &ready {
        let ended = one(loaded, arguments, ferry)?;
        ends.push((name.as_str(), ended.exit));
        if ended.exit == Exit::Cancelled {
            break;
        }
    }
    if ready.len() > 1 {
        println!("{}", table(&ends, ready.len()));
    }
    Ok(worst(ends.iter().map(|(_, exit)| *exit)).into())
}

/// How a trial ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub exit: Exit,
    /// What decided so, a line each; nothing where it ended as expected.
    pub why: Vec<String>,
}

/// Runs one trial and prints its summary; again, as often as was asked for, while nothing can be concluded from it.
pub fn one(loaded: &Loaded, arguments: &RunArgs, ferry: &Path) -> Result<Ended, Problem> {
    let mut left = arguments.retries;
    loop {
        let ended = once(loaded, arguments, ferry)?;
        if left == 0 || !says_nothing(ended.exit) {
            return Ok(ended);
        }
        left -= 1;
        println!("{}: run again ({} left)\n  {}", ended.exit.word(), left, ended.why.join("\n  "));
    }
}

/// Whether such an end says nothing about the migration: only then may a trial be run again, or luck would pass for proof.
fn says_nothing(exit: Exit) -> bool {
    matches!(exit, Exit::Inconclusive | Exit::Infra)
}

fn once(loaded: &Loaded, arguments: &RunArgs, ferry: &Path) -> Result<Ended, Problem> {
    let screen = Screen::open(arguments.progress);
    let finished = super::blocking(crate::run::run(loaded, arguments, ferry, &screen))?;
    let summary = super::report::summary(&finished.folder)?;
    println!("{}", summary.text);
    for left in &finished.left {
        eprintln!("left behind: {left}");
    }
    let left = finished.left.iter().map(|left| format!("left behind: {left}"));
    let why = if finished.exit() == Exit::Pass { vec![] } else { summary.why.into_iter().chain(left).collect() };
    Ok(Ended { exit: finished.exit(), why })
}

/// The end of several runs together: the one that asks most urgently for somebody to look.
fn worst(ends: impl Iterator<Item = Exit>) -> Exit {
    let urgency = |exit: &Exit| match exit {
        Exit::Pass => 0,
        Exit::Inconclusive => 1,
        Exit::Infra => 2,
        Exit::Usage => 3,
        Exit::Fail => 4,
        Exit::Cancelled => 5,
    };
    ends.max_by_key(urgency).unwrap_or(Exit::Pass)
}

fn table(ends: &[(&str, Exit)], planned: usize) -> String {
    let width = ends.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: String = ends.iter().map(|(name, exit)| format!("  {name:width$}  {}\n", exit.word())).collect();
    let good = ends.iter().filter(|(_, exit)| *exit == Exit::Pass).count();
    let left = planned - ends.len();
    let not_run = if left > 0 { format!(", {left} not run") } else { String::new() };
    format!("{lines}\n{good} of {planned} trials ended as expected{not_run}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(&[], Exit::Pass)]
    #[case(&[Exit::Pass, Exit::Pass], Exit::Pass)]
    #[case(&[Exit::Pass, Exit::Inconclusive], Exit::Inconclusive)]
    #[case(&[Exit::Infra, Exit::Inconclusive], Exit::Infra)]
    #[case(&[Exit::Infra, Exit::Fail, Exit::Pass], Exit::Fail)]
    #[case(&[Exit::Fail, Exit::Cancelled], Exit::Cancelled)]
    fn the_worst_end_counts(#[case] ends: &[Exit], #[case] expected: Exit) {
        assert_eq!(worst(ends.iter().copied()), expected);
    }

    #[rstest]
    #[case(Exit::Inconclusive, true)]
    #[case(Exit::Infra, true)]
    #[case(Exit::Pass, false)]
    #[case(Exit::Fail, false)]
    #[case(Exit::Usage, false)]
    #[case(Exit::Cancelled, false)]
    fn a_failure_is_never_tried_again(#[case] exit: Exit, #[case] again: bool) {
        assert_eq!(says_nothing(exit), again);
    }

    #[test]
    fn says_how_each_ended() {
        let ends = [("single_tenant::official::k8s_1_34::kind", Exit::Pass), ("a::b::k8s_1_34::kind", Exit::Fail)];
        insta::assert_snapshot!(table(&ends, 3), @r"
          single_tenant::official::k8s_1_34::kind  as expected
          a::b::k8s_1_34::kind                     failed

        1 of 3 trials ended as expected, 1 not run
        ");
    }
}
