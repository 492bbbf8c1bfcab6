//! `deployment/apps/*`.

use std::fmt;
use std::str::FromStr;

use super::{Name, ObjectRef, TextError, text_type};

/// Kubernetes objects: `kind/namespace/name`, or `kind/name` where the kind has no namespace, each part a name or `*`. Where a run
/// has several clusters, `cluster:` before it says in which; without it they are in the first.
///
/// The kind is singular and in lower case, as in records: `deployment`, `kustomization`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectGlob {
    cluster: Option<String>,
    kind: String,
    namespace: Option<String>,
    name: String,
}

/// Stands for any part.
const ANY: &str = "*";

impl ObjectGlob {
    /// The cluster; none: the first.
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// The kind; none: of any kind.
    pub fn kind(&self) -> Option<&str> {
        Some(self.kind.as_str()).filter(|kind| *kind != ANY)
    }

    /// The name; none: of any name.
    pub fn name(&self) -> Option<&str> {
        Some(self.name.as_str()).filter(|name| *name != ANY)
    }

    /// Whether an object is among them. One whose namespace is not known may be in any.
    pub fn matches(&self, kind: &str, namespace: Option<&str>, name: &str) -> bool {
        let part = |pattern: &str, text: &str| pattern == ANY || pattern == text;
        let in_namespace = match (&self.namespace, namespace) {
            (Some(pattern), Some(namespace)) => part(pattern, namespace),
            _ => true,
        };
        part(&self.kind, kind) && in_namespace && part(&self.name, name)
    }
}

impl FromStr for ObjectGlob {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let whole = text;
        // Names of objects may have a colon, kinds have none.
        let (cluster, text) = match text.split_once('/').map_or(text, |(kind, _)| kind).split_once(':') {
            Some((cluster, _)) => (Some(cluster), &text[cluster.len() + 1..]),
            None => (None, text),
        };
        let hint = "write `kind/namespace/name` or `kind/name`, such as `deployment/apps/web`, with `*` for any part";
        // A part that may be anything is as good as a name that is one.
        let named: Vec<&str> = text.split('/').map(|part| if part == ANY { "any" } else { part }).collect();
        let object: ObjectRef = named.join("/").parse().map_err(|e: TextError| {
            let why = e.message.split_once(": ").map_or(e.message.as_str(), |(_, why)| why);
            let why = if text.contains(ANY) {
                why.replace("contains '*'", "has a `*` beside other letters")
            } else {
                why.to_owned()
            };
            TextError::new(format!("`{whole}` does not name objects: {why}"), hint)
        })?;
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, name) = match parts[..] {
            [kind, .., name] => (kind.to_owned(), name.to_owned()),
            _ => (object.kind, object.name),
        };
        let namespace = object.namespace.and_then(|_| parts.get(1).map(|namespace| (*namespace).to_owned()));
        let cluster = match cluster.map(str::parse::<Name>) {
            None => None,
            Some(Ok(cluster)) => Some(cluster.to_string()),
            Some(Err(error)) => {
                return Err(TextError::new(format!("`{whole}` does not name objects: {}", error.message), hint));
            }
        };
        Ok(ObjectGlob { cluster, kind, namespace, name })
    }
}

impl fmt::Display for ObjectGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cluster) = &self.cluster {
            write!(f, "{cluster}:")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

text_type!(ObjectGlob,
    what: "objects such as `deployment/apps/web` or `deployment/apps/*` (kind/namespace/name, `*` for any part)",
    pattern: r"^([a-z0-9-]+:)?(\*|[a-z0-9.-]+)/((\*|[a-z0-9-]+)/)?(\*|[a-z0-9:.-]+)$",
    examples: ["deployment/apps/web", "*/apps/*", "namespace/apps"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("deployment/apps/web", true)]
    #[case("deployment/apps/*", true)]
    #[case("*/apps/*", true)]
    #[case("*/*/*", true)]
    #[case("deployment/*/web", true)]
    #[case("deployment/other/web", false)]
    #[case("deployment/apps/api", false)]
    #[case("service/apps/web", false)]
    #[case("main:deployment/apps/web", true)]
    fn matches(#[case] text: &str, #[case] is_web: bool) {
        let glob: ObjectGlob = text.parse().unwrap();
        assert_eq!(glob.to_string(), text);
        assert_eq!(glob.matches("deployment", Some("apps"), "web"), is_web);
    }

    #[rstest]
    #[case("deployment/apps/web", true)]
    #[case("namespace/apps", false)]
    fn an_unknown_namespace_may_be_any(#[case] glob: ObjectGlob, #[case] is_web: bool) {
        assert_eq!(glob.matches("deployment", None, "web"), is_web);
    }

    #[rstest]
    #[case("deployment/apps/web", None)]
    #[case("clusterrole/system:node", None)]
    #[case("main:clusterrole/system:node", Some("main"))]
    #[case("main:*/apps/*", Some("main"))]
    fn a_cluster_may_be_named(#[case] text: &str, #[case] cluster: Option<&str>) {
        let glob: ObjectGlob = text.parse().unwrap();
        assert_eq!((glob.cluster(), glob.to_string().as_str()), (cluster, text));
    }

    #[test]
    fn says_what_is_wrong() {
        let texts = [
            "",
            "web",
            "*",
            "a/b/c/d",
            "Deployment/apps/web",
            "deployment//web",
            "deployment/apps/web-*",
            "Main:deployment/apps/web",
        ];
        insta::assert_snapshot!(texts.map(error::<ObjectGlob>).join("\n"), @r"
        `` does not name objects: it has no `/` (write `kind/namespace/name` or `kind/name`, such as `deployment/apps/web`, with `*` for any part)
        `web` does not name objects: it has no `/` (write `kind/namespace/name` or `kind/name`, such as `deployment/apps/web`, with `*` for any part)
        `*` does not name objects: it has no `/` (write `kind/namespace/name` or `kind/name`, such as `deployment/apps/web`, with `*` for any part)
        `a/b/c/d` does not name objects: it has more than three parts (write `kind/namespace/name` or `kind/name`, such as `deployment/apps/web`, with `*` for any part)
        `Deployment/apps/web` does not name objects: kinds are written in lower case: `deployment` (write `kind/namespace/name` or `kind/name`, such as `deployment/apps/web`, with `*` for any part)
        `deployment//web` does not name objects: its namespace is empty (write `kind/namespace/name` or `kind/name`, such as `deployment/apps/web`, with `*` for any part)
        `deployment/apps/web-*` does not name objects: its name has a `*` beside other letters (write `kind/namespace/name` or `kind/name`, such as `deployment/apps/web`, with `*` for any part)
        `Main:deployment/apps/web` does not name objects: `Main` is not a name: it contains 'M' (write `kind/namespace/name` or `kind/name`, such as `deployment/apps/web`, with `*` for any part)
        ");
    }
}
