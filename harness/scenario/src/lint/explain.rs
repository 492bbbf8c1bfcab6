//! `ferry lint --explain F113`: a rule, why it is one, and an example of both sides.

use std::fmt::Write as _;

use super::{PARSE_RULES, Rule, all_rules, allow};

/// What there is to say of a rule, by its code or its name.
///
/// # Errors
/// If there is no such rule: what was asked for, and the nearest name.
pub fn explain(asked: &str) -> Result<String, String> {
    let rules: Vec<Rule> = PARSE_RULES.iter().copied().chain(all_rules()).collect();
    let Some(rule) = rules.iter().find(|r| r.code.eq_ignore_ascii_case(asked) || r.name.eq_ignore_ascii_case(asked))
    else {
        let meant = allow::nearest(asked, &rules).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(format!("there is no rule `{asked}`{meant}"));
    };
    let mut text = format!("{} {} ({})\n\n{}\n", rule.code, rule.name, rule.severity, rule.explain);
    for (title, example, files) in
        [("breaks it", rule.failing, rule.failing_files), ("does not", rule.passing, rule.passing_files)]
    {
        if example.is_empty() && files.is_empty() {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{title}:\n{}", indented(example));
        for (path, content) in files {
            let _ = write!(text, "  with {path}:\n{}", indented(&indented(content)));
        }
    }
    Ok(text)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".into() } else { format!("  {line}\n") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_code_or_name() {
        insta::assert_snapshot!(explain("sync-path").unwrap(), @r#"
        F305 sync-path (warning)

        The operator's sync has the name of bootstrap's, whose inventory survives: with another path everything that was applied from the old one is pruned, workloads and all.

        breaks it:
          operator: {version: 0.59.0}
          - install-operator: {}
          - apply: {file: instance.yaml}
          - wait: {ready: fluxinstance/flux-system/flux}
          with example-area/instance.yaml:
            apiVersion: fluxcd.controlplane.io/v1
            kind: FluxInstance
            metadata: {name: flux, namespace: flux-system}
            spec:
              sync: {kind: GitRepository, path: clusters/prod}

        does not:
          operator: {version: 0.59.0}
          - install-operator: {}
          - apply: {file: instance.yaml}
          - wait: {ready: fluxinstance/flux-system/flux}
          with example-area/instance.yaml:
            apiVersion: fluxcd.controlplane.io/v1
            kind: FluxInstance
            metadata: {name: flux, namespace: flux-system}
            spec:
              distribution: {version: 2.9.4, registry: "registry.ferry:5000/fluxcd"}
              components: [source-controller, kustomize-controller, helm-controller, notification-controller]
              sync:
                kind: GitRepository
                url: ssh://git@git.ferry/srv/git/fleet.git
                ref: refs/heads/main
                path: clusters/test
                pullSecret: flux-system
        "#);
        assert_eq!(explain("f305"), explain("sync-path"));
        insta::assert_snapshot!(explain("E005").unwrap(), @r"
        E005 unknown-key (error)

        A key that has no meaning here is a slip of the keyboard, and what it says would silently not happen.

        breaks it:
          - wait: {raedy: deployment/apps/web, ready: deployment/apps/web}

        does not:
          - wait: {ready: deployment/apps/web}
        ");
        insta::assert_snapshot!(explain("sync-paht").unwrap_err(), @"there is no rule `sync-paht`; did you mean `sync-path`?");
        insta::assert_snapshot!(explain("F999").unwrap_err(), @"there is no rule `F999`");
    }
}
