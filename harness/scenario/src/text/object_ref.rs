//! `kind/namespace/name`.

use std::fmt;
use std::str::FromStr;

use super::{TextError, text_type};

/// A Kubernetes object: `kind/namespace/name`, or `kind/name` where the kind has no namespace.
///
/// The kind is a resource's kind or plural in lower case, with its group where it is not unique: `deployment`,
/// `fluxinstance`, `kustomizations.kustomize.toolkit.fluxcd.io`. Which ones exist is for the cluster to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Kind or plural, lower case, with or without a group.
    pub kind: String,
    /// Namespace; none for cluster-wide objects.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl FromStr for ObjectRef {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = |why: String| {
            TextError::new(
                format!("`{text}` does not name an object: {why}"),
                "write `kind/namespace/name`, such as `deployment/apps/web`, or `kind/name` for a cluster-wide object",
            )
        };
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match parts[..] {
            [kind, name] => (kind, None, name),
            [kind, namespace, name] => (kind, Some(namespace), name),
            [_] => return Err(wrong("it has no `/`".into())),
            _ => return Err(wrong("it has more than three parts".into())),
        };
        for (what, part) in [("kind", Some(kind)), ("namespace", namespace), ("name", Some(name))] {
            let Some(part) = part else { continue };
            if part.is_empty() {
                return Err(wrong(format!("its {what} is empty")));
            }
            // CRDs and RBAC objects have dots or colons in their names; kinds and namespaces never do beyond a group.
            let odd = |c: char| {
                !(c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c) || what == "name" && c == ':')
            };
            if let Some(c) = part.chars().find(|c| odd(*c)) {
                let why = match what {
                    "kind" if c.is_ascii_uppercase() => {
                        format!("kinds are written in lower case: `{}`", part.to_lowercase())
                    }
                    _ => format!("its {what} contains {c:?}"),
                };
                return Err(wrong(why));
            }
            if part.len() > 253 {
                return Err(wrong(format!("its {what} is longer than 253 characters")));
            }
        }
        Ok(ObjectRef { kind: kind.into(), namespace: namespace.map(Into::into), name: name.into() })
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

text_type!(ObjectRef,
    what: "an object such as `deployment/apps/web` (kind/namespace/name) or `namespace/apps` (kind/name)",
    pattern: r"^[a-z0-9.-]+/([a-z0-9-]+/)?[a-z0-9:.-]+$",
    examples: ["deployment/apps/web", "kustomization/flux-system/apps", "namespace/apps"]);

#[cfg(test)]
mod tests {
    use super::super::tests::error;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("deployment/apps/web", "deployment", Some("apps"), "web")]
    #[case("namespace/apps", "namespace", None, "apps")]
    #[case("clusterrole/system:node", "clusterrole", None, "system:node")]
    #[case(
        "kustomizations.kustomize.toolkit.fluxcd.io/a/b.c",
        "kustomizations.kustomize.toolkit.fluxcd.io",
        Some("a"),
        "b.c"
    )]
    fn reads(#[case] text: &str, #[case] kind: &str, #[case] namespace: Option<&str>, #[case] name: &str) {
        let object: ObjectRef = text.parse().unwrap();
        assert_eq!((object.kind.as_str(), object.namespace.as_deref(), object.name.as_str()), (kind, namespace, name));
        assert_eq!(object.to_string(), text);
    }

    #[test]
    fn says_what_is_wrong() {
        let texts = [
            "",
            "web",
            "a/b/c/d",
            "/apps/web",
            "deployment//web",
            "deployment/apps/",
            "Deployment/apps/web",
            "deployment/apps/we b",
        ];
        insta::assert_snapshot!(texts.map(error::<ObjectRef>).join("\n"), @r"
        `` does not name an object: it has no `/` (write `kind/namespace/name`, such as `deployment/apps/web`, or `kind/name` for a cluster-wide object)
        `web` does not name an object: it has no `/` (write `kind/namespace/name`, such as `deployment/apps/web`, or `kind/name` for a cluster-wide object)
        `a/b/c/d` does not name an object: it has more than three parts (write `kind/namespace/name`, such as `deployment/apps/web`, or `kind/name` for a cluster-wide object)
        `/apps/web` does not name an object: its kind is empty (write `kind/namespace/name`, such as `deployment/apps/web`, or `kind/name` for a cluster-wide object)
        `deployment//web` does not name an object: its namespace is empty (write `kind/namespace/name`, such as `deployment/apps/web`, or `kind/name` for a cluster-wide object)
        `deployment/apps/` does not name an object: its name is empty (write `kind/namespace/name`, such as `deployment/apps/web`, or `kind/name` for a cluster-wide object)
        `Deployment/apps/web` does not name an object: kinds are written in lower case: `deployment` (write `kind/namespace/name`, such as `deployment/apps/web`, or `kind/name` for a cluster-wide object)
        `deployment/apps/we b` does not name an object: its name contains ' ' (write `kind/namespace/name`, such as `deployment/apps/web`, or `kind/name` for a cluster-wide object)
        ");
    }
}
