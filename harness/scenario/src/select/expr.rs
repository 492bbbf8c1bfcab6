//! What a filter says, as a tree, and what it is true of.

use std::collections::BTreeSet;
use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use super::{Candidate, KubernetesRange};

/// A filter's expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// One property.
    Is(Predicate),
    /// Not this.
    Not(Box<Expr>),
    /// Each of these; two or more.
    And(Vec<Expr>),
    /// At least one of these; two or more.
    Or(Vec<Expr>),
}

/// A property of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// `all()`: every trial.
    All,
    /// `tag(x)`: the scenario has this label.
    Tag(String),
    /// `name(glob)`: the scenario is called like this; a glob with a `/` is for `area/name`.
    Name(NameGlob),
    /// `area(x)`: the scenario is in this folder.
    Area(String),
    /// `suite(x)`: the trial belongs to this suite.
    Suite(String),
    /// `k8s(>=1.34)`: the cell's Kubernetes is one of these.
    Kubernetes(KubernetesRange),
    /// `provider(kind)`: who makes the cell's cluster.
    Provider(String),
    /// `var(auth=http)`: a variable of the cell has this value.
    Var(String, String),
}

impl Predicate {
    /// What is looked for.
    pub(super) fn argument(&self) -> &str {
        match self {
            Predicate::All | Predicate::Kubernetes(_) => "",
            Predicate::Tag(name) | Predicate::Area(name) | Predicate::Suite(name) | Predicate::Provider(name) => name,
            Predicate::Name(glob) => glob.as_str(),
            Predicate::Var(_, value) => value,
        }
    }

    /// The arguments that would select something.
    pub(super) fn known(&self, candidates: &[Candidate<'_>]) -> Vec<String> {
        let all = |of: &dyn Fn(&Candidate<'_>) -> Vec<String>| -> Vec<String> {
            candidates.iter().flat_map(of).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        match self {
            Predicate::All => Vec::new(),
            Predicate::Tag(_) => all(&|c| owned(c.tags)),
            Predicate::Name(glob) if glob.is_id() => all(&|c| vec![c.id()]),
            Predicate::Name(_) => all(&|c| vec![c.name.into()]),
            Predicate::Area(_) => all(&|c| vec![c.area.into()]),
            Predicate::Suite(_) => all(&|c| owned(c.suites)),
            Predicate::Kubernetes(_) => all(&|c| vec![c.cell.kubernetes.clone()]),
            Predicate::Provider(_) => all(&|c| vec![c.cell.provider.clone()]),
            Predicate::Var(name, _) => all(&|c| c.variable(name).into_iter().collect()),
        }
    }

    fn matches(&self, candidate: &Candidate<'_>) -> bool {
        match self {
            Predicate::All => true,
            Predicate::Tag(name) => candidate.tags.contains(&name.as_str()),
            Predicate::Name(glob) if glob.is_id() => glob.matches(&candidate.id()),
            Predicate::Name(glob) => glob.matches(candidate.name),
            Predicate::Area(name) => candidate.area == name,
            Predicate::Suite(name) => candidate.suites.contains(&name.as_str()),
            Predicate::Kubernetes(range) => range.contains(&candidate.cell.kubernetes),
            Predicate::Provider(name) => candidate.cell.provider == *name,
            Predicate::Var(name, value) => candidate.variable(name).as_ref() == Some(value),
        }
    }
}

impl Expr {
    /// Whether it is true of a trial.
    pub fn matches(&self, candidate: &Candidate<'_>) -> bool {
        match self {
            Expr::Is(predicate) => predicate.matches(candidate),
            Expr::Not(inner) => !inner.matches(candidate),
            Expr::And(all) => all.iter().all(|inner| inner.matches(candidate)),
            Expr::Or(any) => any.iter().any(|inner| inner.matches(candidate)),
        }
    }

    /// Its properties, in the order of the text.
    pub fn predicates(&self) -> Vec<&Predicate> {
        match self {
            Expr::Is(predicate) => vec![predicate],
            Expr::Not(inner) => inner.predicates(),
            Expr::And(inner) | Expr::Or(inner) => inner.iter().flat_map(Expr::predicates).collect(),
        }
    }
}

/// A glob over names: `*`, `?`, `[a-z]`, `{one,other}`; `*` does not cross a `/`.
#[derive(Debug, Clone)]
pub struct NameGlob(GlobMatcher);

impl NameGlob {
    /// Reads a glob.
    ///
    /// # Errors
    /// Why it is none.
    pub fn new(text: &str) -> Result<NameGlob, String> {
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        glob.map(|glob| NameGlob(glob.compile_matcher())).map_err(|e| e.kind().to_string())
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        self.0.glob().glob()
    }

    fn is_id(&self) -> bool {
        self.as_str().contains('/')
    }

    fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

impl PartialEq for NameGlob {
    fn eq(&self, other: &NameGlob) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for NameGlob {}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Predicate::All => f.write_str("all()"),
            Predicate::Tag(name) => write!(f, "tag({name})"),
            Predicate::Name(glob) => write!(f, "name({})", glob.as_str()),
            Predicate::Area(name) => write!(f, "area({name})"),
            Predicate::Suite(name) => write!(f, "suite({name})"),
            Predicate::Kubernetes(range) => write!(f, "k8s({range})"),
            Predicate::Provider(name) => write!(f, "provider({name})"),
            Predicate::Var(name, value) => write!(f, "var({name}={value})"),
        }
    }
}

/// As it is written, with the parentheses that it needs.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Expr], sign: &str, bare: fn(&Expr) -> bool| {
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    f.write_str(sign)?;
                }
                if bare(part) { part.fmt(f)? } else { write!(f, "({part})")? }
            }
            Ok(())
        };
        match self {
            Expr::Is(predicate) => predicate.fmt(f),
            Expr::Not(inner) => match **inner {
                Expr::Is(_) | Expr::Not(_) => write!(f, "not {inner}"),
                _ => write!(f, "not ({inner})"),
            },
            Expr::And(all) => joined(f, all, " & ", |part| matches!(part, Expr::Is(_) | Expr::Not(_))),
            Expr::Or(any) => joined(f, any, " | ", |part| !matches!(part, Expr::Or(_))),
        }
    }
}
