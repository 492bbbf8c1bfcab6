//! Findings for other programs: each format is a function from diagnostics to text.

mod github;
mod json;
mod sarif;

pub use github::github;
pub use json::json;
pub use sarif::sarif;

#[cfg(test)]
pub(crate) mod tests {
    use crate::diagnostic::Diagnostic;
    use crate::lint::tests::findings;
    use crate::parse::tests::example;

    /// Something from the parser, an error and a warning of lint, and a text that formats have to escape.
    pub fn examples() -> Vec<Diagnostic> {
        let odd = crate::parse("a b/100%,x.yaml", &example("summary: one: two\nbudget: 1")).expect_err("mistakes");
        let wrong = findings("probes: []\ntags: [a, a]", &[]);
        odd.into_iter().chain(wrong).collect()
    }
}
