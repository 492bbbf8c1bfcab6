//! `# ferry: allow F113 reason`: what an author has decided to live with, and why.
//!
//! Behind a value it allows what is found in its line; on a line of its own, what is found in the next line that is no
//! comment; at the file's head, what is found anywhere, in the fleet too.

use super::fleet::Fleet;
use super::{Rule, all_rules, diagnostic};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::Scenario;
use crate::names;
use crate::span::{Source, Span};

const NO_REASON: Rule = Rule {
    code: "F001",
    name: "allow-reason",
    explain: "Whoever reads the scenario next must know why a rule does not apply here, or they can never remove the comment.",
    failing: "tags: [smoke, smoke] # ferry: allow F126",
    passing: "tags: [smoke, smoke] # ferry: allow F126 a tool of ours counts them",
    ..Rule::WARNING
};

const UNKNOWN: Rule = Rule {
    code: "F002",
    name: "allow-unknown",
    explain: "A comment that allows a rule that does not exist allows nothing: a slip of the keyboard, or a rule that is gone.",
    failing: "tags: [smoke] # ferry: allow repeatd a tool of ours counts them",
    passing: "tags: [smoke, smoke] # ferry: allow repeated a tool of ours counts them",
    ..Rule::WARNING
};

const UNUSED: Rule = Rule {
    code: "F003",
    name: "allow-unused",
    explain: "A comment that no finding needs hides the next one: it outlives its reason unless someone is told.",
    failing: "tags: [smoke] # ferry: allow F126 a tool of ours counts them",
    passing: "tags: [smoke, smoke] # ferry: allow F126 a tool of ours counts them",
    ..Rule::WARNING
};

const ERROR: Rule = Rule {
    code: "F004",
    name: "allow-error",
    explain: "Only warnings can be allowed. What is an error makes the run impossible: no comment can change that.",
    failing: "# ferry: allow F105 nobody asks\nprobes: []",
    passing: "probes: [http: {name: web, node-port: 30080}]",
    ..Rule::WARNING
};

/// The rules of these comments themselves. They cannot be allowed away.
pub const RULES: &[Rule] = &[NO_REASON, UNKNOWN, UNUSED, ERROR];

/// A comment that allows a rule.
struct Allow {
    rules: Vec<Rule>,
    /// The line that it is about; none for the whole file.
    line: Option<u32>,
    span: Span,
    is_used: bool,
}

/// Leaves out what comments allow, and adds what is wrong with the comments.
pub fn apply(scenario: &Scenario, fleet: &Fleet, mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let known = all_rules();
    let own = scenario.source.name();
    let (mut allows, wrong) = read(&scenario.source, &known);
    found.retain(|d| !allows.iter_mut().any(|allow| allow.covers(d, own)));
    let unused = allows.iter().filter(|allow| !allow.is_used).map(|allow| {
        let codes: Vec<&str> = allow.rules.iter().map(|rule| rule.code).collect();
        let message = format!("nothing here breaks {}", codes.join(" or "));
        diagnostic(&UNUSED, &scenario.source, allow.span, message, "remove the comment".into())
    });
    // A fleet has many scenarios, and a comment that one of them does not need may be another's.
    for source in fleet.sources() {
        let mut allows = read(source, &known).0;
        found.retain(|d| {
            !allows.iter_mut().any(|allow| d.source.name() == source.name() && allow.covers(d, source.name()))
        });
    }
    found.extend(unused);
    found.extend(wrong);
    found
}

impl Allow {
    /// Whether a finding is allowed by this comment in `file`.
    fn covers(&mut self, found: &Diagnostic, file: &str) -> bool {
        let here = self.line.is_none_or(|line| {
            let place = found.place();
            place.file == file && place.line == line
        });
        let covers = here && self.rules.iter().any(|rule| rule.code == found.code);
        self.is_used |= covers;
        covers
    }
}

/// Every comment of ours in a file, and what is wrong with them.
fn read(source: &Source, known: &[Rule]) -> (Vec<Allow>, Vec<Diagnostic>) {
    let (mut allows, mut wrong) = (Vec::new(), Vec::new());
    // The file's first key, and whose turn it is.
    let (mut is_head, mut pending): (bool, Vec<Allow>) = (true, Vec::new());
    for line in lines(source.text()) {
        if let Some(comment) = line.comment {
            let offset = line.offset + comment.at;
            let column = line.text[..comment.at].chars().count() as u32 + 1;
            let span = Span { offset: offset as u32, len: comment.text.len() as u32, line: line.number, column };
            match directive(comment.text, known) {
                None => {}
                Some(Err(Misuse { rule, message, help })) => {
                    wrong.push(diagnostic(rule, source, span, message, help.into()));
                }
                Some(Ok(rules)) => {
                    let about = if line.has_content { Some(line.number) } else { None };
                    let allow = Allow { rules, line: about, span, is_used: false };
                    if line.has_content || is_head { &mut allows } else { &mut pending }.push(allow);
                }
            }
        }
        if line.has_content {
            is_head &= line.text.starts_with("---");
            allows.extend(pending.drain(..).map(|allow| Allow { line: Some(line.number), ..allow }));
        }
    }
    // Below the last value there is nothing to allow: kept, so that they are reported.
    allows.extend(pending.drain(..).map(|allow| Allow { line: Some(0), ..allow }));
    (allows, wrong)
}

/// What is wrong with a comment.
struct Misuse {
    rule: &'static Rule,
    message: String,
    help: &'static str,
}

/// The rules that a comment allows; none for an ordinary comment.
fn directive(comment: &str, known: &[Rule]) -> Option<Result<Vec<Rule>, Misuse>> {
    let text = comment.trim_start_matches('#').trim();
    Some(allowed(text.strip_prefix("ferry:")?.trim(), known))
}

fn allowed(text: &str, known: &[Rule]) -> Result<Vec<Rule>, Misuse> {
    let usage = "write `# ferry: allow F113 REASON`; `ferry lint --explain F113` says what the rule is for";
    let unknown = |message: String| Misuse { rule: &UNKNOWN, message, help: usage };
    let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if verb != "allow" {
        return Err(unknown(format!("`{verb}` is nothing that a comment can say; did you mean `allow`?")));
    }
    let mut rules = Vec::new();
    let mut rest = rest.trim();
    loop {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let name = word.trim_end_matches(',');
        if name.is_empty() {
            return Err(unknown("the comment does not say which rule it allows".into()));
        }
        let Some(rule) = known.iter().find(|rule| rule.code == name || rule.name == name) else {
            let meant = nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(unknown(format!("there is no rule `{name}`{meant}")));
        };
        if rule.severity == Severity::Error || RULES.contains(rule) {
            let message = format!("{} ({}) cannot be allowed", rule.code, rule.name);
            let help = "only warnings can: remove the comment, and correct what it is about";
            return Err(Misuse { rule: &ERROR, message, help });
        }
        rules.push(*rule);
        rest = after.trim();
        if !word.ends_with(',') {
            break;
        }
    }
    if rest.chars().any(char::is_alphanumeric) {
        return Ok(rules);
    }
    let codes: Vec<&str> = rules.iter().map(|rule| rule.code).collect();
    let message = format!("{} is allowed without a reason", codes.join(", "));
    Err(Misuse { rule: &NO_REASON, message, help: "say why, behind the rule's code" })
}

/// The known code or name that was probably meant.
pub(super) fn nearest<'r>(written: &str, known: &'r [Rule]) -> Option<&'r str> {
    // Codes are all alike: only one with two digits swapped or one wrong is near.
    let upper = written.to_uppercase();
    let by_code = known.iter().find(|rule| rule.code == upper).map(|rule| rule.code);
    by_code.or_else(|| names::nearest(written, known.iter().map(|rule| rule.name)))
}

/// A line of a file, with its comment if it has one.
struct Line<'t> {
    number: u32,
    offset: usize,
    text: &'t str,
    has_content: bool,
    comment: Option<Comment<'t>>,
}

/// From its `#` to the line's end.
struct Comment<'t> {
    at: usize,
    text: &'t str,
}

/// Lines of YAML; what is inside of block texts is content, whatever it looks like.
fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut offset = 0;
    // Of a block text: the indentation of the line that starts it, then that of its own first line.
    let mut block: Option<(usize, Option<usize>)> = None;
    for (index, raw) in text.split_inclusive('\n').enumerate() {
        let text = raw.trim_end_matches(['\n', '\r']);
        let indent = text.len() - text.trim_start_matches(' ').len();
        let is_blank = text.trim().is_empty();
        if let Some((starter, inner)) = &mut block {
            match inner {
                None if !is_blank && indent > *starter => *inner = Some(indent),
                Some(inner) if !is_blank && indent < *inner => block = None,
                None if !is_blank => block = None,
                _ => {}
            }
        }
        let is_text = block.is_some();
        let comment = if is_text { None } else { comment(text) };
        let before = comment.as_ref().map_or(text, |comment| &text[..comment.at]).trim();
        let has_content = is_text || !before.is_empty();
        if !is_text && starts_block(before) {
            block = Some((indent, None));
        }
        lines.push(Line { number: index as u32 + 1, offset, text, has_content: has_content && !is_blank, comment });
        offset += raw.len();
    }
    lines
}

/// Whether a line's value is a block text: `key: |`, `- >-`.
fn starts_block(line: &str) -> bool {
    let Some(last) = line.split(' ').next_back() else { return false };
    let header = last.trim_end_matches(['+', '-', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    let before = line[..line.len() - last.len()].trim_end();
    ["|", ">"].contains(&header) && (before.is_empty() || before.ends_with(':') || before.ends_with('-'))
}

/// Where a line's comment starts: at a `#` after a blank, outside of quotes.
fn comment(line: &str) -> Option<Comment<'_>> {
    let mut quote = None;
    let mut previous = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open && previous != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if " [{,:-(".contains(previous) => quote = Some(c),
            (None, '#') if previous.is_whitespace() => return Some(Comment { at, text: &line[at..] }),
            _ => {}
        }
        previous = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folders::tests::Memory;
    use crate::parse::tests::example;
    use crate::{lint, parse};
    use rstest::rstest;

    fn findings(text: &str) -> String {
        let scenario = parse("area/example.yaml", text).unwrap_or_else(|e| panic!("{}", e.to_text()));
        lint(&scenario, &Memory([("fleets/web/clusters/test/apps.yaml", "")].into())).to_text()
    }

    #[rstest]
    #[case::behind("tags: [a, a] # ferry: allow F126 a reason")]
    #[case::by_name("tags: [a, a] # ferry: allow repeated a reason")]
    #[case::above("# ferry: allow F126 a reason\ntags: [a, a]")]
    #[case::above_other_comments("# ferry: allow F126 a reason\n# and more\n\ntags: [a, a]")]
    #[case::several("tags: [a, a] # ferry: allow F126, F113 reasons")]
    #[case::after_a_quote("tags: [a, 'a'] # ferry: allow F126 it's a reason")]
    fn a_warning_is_allowed_where_it_is(#[case] changes: &str) {
        assert_eq!(findings(&example(changes)), "");
    }

    #[test]
    fn a_comment_at_the_head_is_about_the_whole_file() {
        let text = format!("# About it.\n# ferry: allow F126 a reason\n\n{}", example("tags: [a, a]"));
        assert_eq!(findings(&text), "");
    }

    #[test]
    fn what_is_wrong_with_comments() {
        let comments = [
            "F126",
            "F126 -",
            "f126 a reason",
            "F12 a reason",
            "repeatd a reason",
            "F105 a reason",
            "F003 a reason",
            "F113 a reason",
            "",
        ];
        let found = comments.map(|comment| findings(&example(&format!("tags: [a] # ferry: allow {comment}"))));
        let other = findings(&example("tags: [a] # ferry: alow F126 a reason"));
        let last = findings(&format!("{}# ferry: allow F126 too late\n", example("tags: [a]")));
        insta::assert_snapshot!(found.concat() + &other + &last, @r"
        area/example.yaml:16:11: warning[F001]: F126 is allowed without a reason (say why, behind the rule's code)
        area/example.yaml:16:11: warning[F001]: F126 is allowed without a reason (say why, behind the rule's code)
        area/example.yaml:16:11: warning[F002]: there is no rule `f126`; did you mean `F126`? (write `# ferry: allow F113 REASON`; `ferry lint --explain F113` says what the rule is for)
        area/example.yaml:16:11: warning[F002]: there is no rule `F12` (write `# ferry: allow F113 REASON`; `ferry lint --explain F113` says what the rule is for)
        area/example.yaml:16:11: warning[F002]: there is no rule `repeatd`; did you mean `repeated`? (write `# ferry: allow F113 REASON`; `ferry lint --explain F113` says what the rule is for)
        area/example.yaml:16:11: warning[F004]: F105 (no-probes) cannot be allowed (only warnings can: remove the comment, and correct what it is about)
        area/example.yaml:16:11: warning[F004]: F003 (allow-unused) cannot be allowed (only warnings can: remove the comment, and correct what it is about)
        area/example.yaml:16:11: warning[F003]: nothing here breaks F113 (remove the comment)
        area/example.yaml:16:11: warning[F002]: the comment does not say which rule it allows (write `# ferry: allow F113 REASON`; `ferry lint --explain F113` says what the rule is for)
        area/example.yaml:16:11: warning[F002]: `alow` is nothing that a comment can say; did you mean `allow`? (write `# ferry: allow F113 REASON`; `ferry lint --explain F113` says what the rule is for)
        area/example.yaml:17:1: warning[F003]: nothing here breaks F126 (remove the comment)
        ");
    }

    #[test]
    fn a_comment_of_another_line_allows_nothing() {
        let found = findings(&example(
            "tags: [a, a]\n# ferry: allow F126 a reason\noperator: {version: 0.59.0}\n- install-operator: {}",
        ));
        let codes: Vec<&str> = ["F126", "F003"].into_iter().filter(|code| found.contains(code)).collect();
        assert_eq!(codes, ["F126", "F003"], "{found}");
    }

    /// Where they are found, or at the head of the scenario; a comment in a fleet that this scenario does not need is
    /// another scenario's.
    #[test]
    fn findings_in_the_fleet_are_allowed_too() {
        let policy = "kind: NetworkPolicy # ferry: allow F325 checked by hand\napiVersion: networking.k8s.io/v1\nmetadata: {name: x}\n";
        let bare = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\n";
        let unneeded =
            "# ferry: allow F325 for another scenario\napiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n";
        let found = |text: &str, file: &'static str| {
            let scenario = parse("area/example.yaml", text).unwrap_or_else(|e| panic!("{}", e.to_text()));
            let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{nodePort: 30080}]}\n";
            let files = [("fleets/web/clusters/test/a.yaml", file), ("fleets/web/clusters/test/b.yaml", service)];
            lint(&scenario, &Memory(files.into())).to_text()
        };
        let head = format!("# ferry: allow F325 checked by hand\n{}", example(""));
        assert_eq!(found(&example(""), policy), "");
        assert_eq!(found(&head, bare), "");
        assert_eq!(found(&example(""), unneeded), "");
        assert!(found(&example(""), bare).starts_with("fleets/web/clusters/test/a.yaml:2:7: warning[F325]"));
    }

    /// What a commit writes may well look like one of our comments.
    #[test]
    fn a_block_text_holds_no_comments() {
        let text = "a: |\n  # ferry: allow F126\n\n  more\nb: 1 # ferry: allow F126 x\n- >-\n    # ferry: x\n  # y\n";
        let comments: Vec<(u32, &str)> =
            lines(text).iter().filter_map(|l| Some((l.number, l.comment.as_ref()?.text))).collect();
        assert_eq!(comments, [(5, "# ferry: allow F126 x"), (8, "# y")]);
    }

    #[rstest]
    #[case("a: b", None)]
    #[case("a: b # c", Some("# c"))]
    #[case("# c", Some("# c"))]
    #[case("a: b#c", None)]
    #[case("a: 'b # c' # d", Some("# d"))]
    #[case("a: \"b \\\" # c\" # d", Some("# d"))]
    #[case("a: the operator's # d", Some("# d"))]
    #[case("a: ['#', \"#\"] # d", Some("# d"))]
    fn comments_start_after_a_blank(#[case] line: &str, #[case] expected: Option<&str>) {
        assert_eq!(comment(line).map(|c| c.text), expected);
    }
}
