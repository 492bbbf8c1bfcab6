//! The run as Markdown, for the summary page of a CI job: how it ended, why, and what the probes saw.

use std::fmt::Write;

use super::{headline, next, probe_rows, sign};
use crate::fmt;
use crate::fold::RunState;
use crate::verdict::{Judgement, Verdict};

/// Details shown of each finding; the page and the record have more.
const MAX_DETAILS: usize = 5;

/// A section for the run. Several, one after the other, make a page.
pub fn summary(run: &RunState, judgement: &Judgement) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_summary(&mut out, run, judgement);
    out
}

fn write_summary(out: &mut String, run: &RunState, judgement: &Judgement) -> std::fmt::Result {
    let mark = if judgement.as_expected { sign(Verdict::Pass) } else { sign(judgement.verdict) };
    let (scenario, cell) = run.started.as_ref().map_or(("unknown", "unknown"), |s| (&s.scenario, &s.cell));
    let took = fmt::duration(run.known_until());
    writeln!(out, "### {mark} {} · `{cell}`\n", escaped(scenario))?;
    writeln!(out, "**{}** in {took}\n", escaped(&headline(judgement)))?;

    let (held, told): (Vec<_>, Vec<_>) = judgement.findings.iter().partition(|f| f.verdict == Verdict::Pass);
    for finding in told {
        writeln!(out, "- {} `{}` {}", sign(finding.verdict), finding.rule, escaped(&finding.message))?;
        for detail in finding.details.iter().take(MAX_DETAILS) {
            writeln!(out, "  - {}", escaped(detail))?;
        }
        if finding.details.len() > MAX_DETAILS {
            writeln!(out, "  - and {} more", finding.details.len() - MAX_DETAILS)?;
        }
    }
    if !held.is_empty() {
        let names: Vec<String> = held.iter().map(|finding| format!("`{}`", finding.rule)).collect();
        writeln!(out, "- {} {}", sign(Verdict::Pass), names.join(", "))?;
    }

    let probes = probe_rows(run);
    if !probes.is_empty() {
        writeln!(out, "\n| probe | samples | failed | outages | longest | p50 | p99 |\n|---|---|---|---|---|---|---|")?;
        for row in probes {
            let cells = [&row.samples, &row.failed, &row.outages, &row.longest, &row.p50, &row.p99];
            let cells: Vec<&str> = cells.into_iter().map(String::as_str).collect();
            writeln!(out, "| `{}` | {} |", row.probe, cells.join(" | "))?;
        }
    }

    let todo = next(run, judgement);
    if !todo.is_empty() {
        writeln!(out)?;
    }
    todo.iter().try_for_each(|todo| writeln!(out, "- next: {}", escaped(todo)))?;
    writeln!(out)
}

/// A text on one line in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '\n' | '\r' => safe.push(' '),
            '|' | '*' | '_' | '`' | '[' | ']' | '#' | '~' | '\\' => safe.extend(['\\', c]),
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Expectation, Failure, Outcome};
    use crate::testing::Record;
    use crate::verdict::judge;

    fn of(record: Record) -> String {
        let run = record.fold();
        summary(&run, &judge(&run))
    }

    #[test]
    fn a_good_run() {
        insta::assert_snapshot!(of(Record::good()), @r"
        ### ✓ single-tenant/official · `k8s_1_34::kind`

        **pass** in 20.5 s

        - ✓ `no-lost-request`, `steps`, `evidence`

        | probe | samples | failed | outages | longest | p50 | p99 |
        |---|---|---|---|---|---|---|
        | `web/outside/new` | 400 | 0 | 0 | – | 1.3 ms | 1.6 ms |
        ");
    }

    #[test]
    fn a_failing_run_says_why() {
        let error = "not ready: <none> | *nothing*\nat_all".to_owned();
        let run = Record::good().outcome(Outcome::Failed { error, hint: None }).fail(250, Failure::Refused);
        let text = of(run);
        let says = |line: &str| assert!(text.lines().any(|said| said.starts_with(line)), "no {line} in\n{text}");
        says("### ✗ single-tenant/official · `k8s_1_34::kind`");
        says("**fail** in 20.5 s");
        says("- ✗ `no-lost-request` 1 of 400 samples failed");
        says("  - web/outside/new out for 50 ms from 12:00:12.500");
        says(
            "- ✗ `steps` step 3 (wait it) at scenarios/single-tenant/official.yaml:17:7 in phase take over failed: not ready: ",
        );
        assert!(text.contains(r"&lt;none&gt; \| \*nothing\* at\_all"), "{text}");
        says("- ✓ `evidence`");
        says("| `web/outside/new` | 400 | 1 | 1 | 50 ms | ");
        says("- next: look at scenarios/single-tenant/official.yaml:17:7");
    }

    #[test]
    fn an_expected_failure_is_good() {
        let expect = Expectation { verdict: Verdict::Fail, rule: None, holds: vec![] };
        let text = of(Record::good().fail(250, Failure::Refused).expect(Some(expect)));
        assert!(text.starts_with("### ✓ ") && text.contains("**fail, as expected**"), "{text}");
    }
}
