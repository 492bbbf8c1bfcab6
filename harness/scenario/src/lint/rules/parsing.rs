//! What parsing reports, in the words of rules: for explanations, and for formats that list rules.

use crate::diagnostic::codes;
use crate::lint::Rule;

/// Everything that parsing can report, by code.
pub const PARSE_RULES: &[Rule] = &[
    Rule {
        code: codes::FILE,
        name: "unreadable-file",
        explain: "The file cannot be read, is not UTF-8 text, or is far too large to be a scenario.",
        ..Rule::ERROR
    },
    Rule {
        code: codes::EMPTY,
        name: "empty-file",
        explain: "There is nothing in the file but blanks and comments.",
        ..Rule::ERROR
    },
    Rule {
        code: codes::YAML,
        name: "yaml",
        explain: "The text is not YAML; nothing after the first such mistake can be trusted, so only that one is reported.",
        failing: "summary: one: two",
        passing: "summary: \"one: two\"",
        ..Rule::ERROR
    },
    Rule {
        code: codes::REPEATED_KEY,
        name: "repeated-key",
        explain: "Of two values for one key, one would be silently dropped.",
        failing: "flux: {version: 2.9.2, version: 2.9.4}",
        passing: "flux: {version: 2.9.2}",
        ..Rule::ERROR
    },
    Rule {
        code: codes::UNKNOWN_KEY,
        name: "unknown-key",
        explain: "A key that has no meaning here is a slip of the keyboard, and what it says would silently not happen.",
        failing: "- wait: {raedy: deployment/apps/web, ready: deployment/apps/web}",
        passing: "- wait: {ready: deployment/apps/web}",
        ..Rule::ERROR
    },
    Rule {
        code: codes::MISSING_KEY,
        name: "missing-key",
        explain: "A key without which the rest has no meaning is not there.",
        failing: "flux: {}",
        passing: "flux: {version: 2.9.2}",
        ..Rule::ERROR
    },
    Rule {
        code: codes::WRONG_TYPE,
        name: "wrong-type",
        explain: "A value is a text where a list is asked for, a number where a text is, and so on. YAML guesses types; we do not.",
        failing: "tags: smoke",
        passing: "tags: [smoke]",
        ..Rule::ERROR
    },
    Rule {
        code: codes::UNKNOWN_NAME,
        name: "unknown-name",
        explain: "Where only certain names are possible, this is none of them.",
        failing: "- wiat: {ready: deployment/apps/web}",
        passing: "- wait: {ready: deployment/apps/web}",
        ..Rule::ERROR
    },
    Rule {
        code: codes::BAD_VALUE,
        name: "bad-value",
        explain: "A text does not say what it should: a duration without its unit, an object without its kind, a range for a version.",
        failing: "flux: {version: v2.9.2}",
        passing: "flux: {version: 2.9.2}",
        ..Rule::ERROR
    },
    Rule {
        code: codes::ONE_KEY,
        name: "one-key",
        explain: "A step is a map of one key, its kind. Most often what belongs below it is not indented far enough.",
        failing: "- wait: {ready: deployment/apps/web}\n  within: 5m",
        passing: "- wait: {ready: deployment/apps/web, within: 5m}",
        ..Rule::ERROR
    },
    Rule {
        code: codes::UNKNOWN_VARIABLE,
        name: "unknown-variable",
        explain: "Templates know the variables under `vars:`, `kubernetes` and `provider`, and nothing else; each must have a value.",
        failing: "vars: {auth: ssh}\nsummary: By {{ auht }}",
        passing: "vars: {auth: ssh}\nsummary: By {{ auth }}",
        ..Rule::ERROR
    },
    Rule {
        code: codes::TEMPLATE,
        name: "template",
        explain: "Text with `{{ … }}` or `{% … %}` in it is a Jinja template, and this one cannot be rendered.",
        failing: "vars: {auth: ssh}\nsummary: \"By {{ auth }\"",
        passing: "vars: {auth: ssh}\nsummary: By {{ auth }}",
        ..Rule::ERROR
    },
    Rule {
        code: codes::FRAGMENT,
        name: "fragment",
        explain: "An `include` names a file of scenarios/fragments, gives a value for each of its variables that has no default, \
                  and leads to no circle.",
        failing: "- include: {fragment: absent}",
        passing: "- wait: {ready: deployment/apps/web}",
        ..Rule::ERROR
    },
    Rule {
        code: codes::MATRIX,
        name: "matrix",
        explain: "A matrix is a map of dimensions (`kubernetes`, `provider`, or a variable) to lists of their values; at least \
                  one combination must be left to run.",
        failing: "matrix: {provider: [kindd]}",
        passing: "matrix: {provider: [kind]}",
        ..Rule::ERROR
    },
    Rule {
        code: codes::FILTER,
        name: "filter",
        explain: "A filter chooses trials by `tag(x)`, `name(glob)`, `area(x)`, `suite(x)`, `k8s(>=1.34)`, `provider(x)` and \
                  `var(name=value)`, joined by `&`, `|`, `not` and parentheses. `ferry list --help` shows all of it.",
        ..Rule::ERROR
    },
    Rule {
        code: codes::SUITE,
        name: "suite",
        explain: "A suite of scenarios/suites.yaml has a summary and either a filter or a list of scenarios; it cannot contain itself.",
        ..Rule::ERROR
    },
    Rule {
        code: codes::TOO_MANY,
        name: "too-many",
        explain: "There are more mistakes than are worth listing: correct the first ones, then check again.",
        ..Rule::ERROR
    },
];
