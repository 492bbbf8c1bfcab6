//! `push-artifact`: a commit of the fleet as an OCI artifact, by the flux command in the toolbox.

use std::time::Duration;

use ferry_lab::registry;
use ferry_scenario::steps::PushArtifact;
use ferry_scenario::text::{ObjectRef, Version};
use serde_json::{Value, json};

use super::{Context, StepError, apply};
use crate::run::fleet;

pub(super) async fn execute(push: &PushArtifact, cx: &Context<'_>) -> Result<(), StepError> {
    let path = push.path.as_ref().map_or(".", |path| path.as_str());
    let (folder, sha) = cx.fleet.export(push.branch(), path).await?;
    let artifact = Artifact {
        version: push.version(cx.scenario),
        repository: push.to.as_str(),
        folder: &folder,
        source: &cx.stage.git().ssh_url(),
        revision: &fleet::revision(push.branch(), &sha),
        within: cx.within,
    };
    for tag in std::iter::once(&push.tag).chain(&push.also) {
        let exec = cx.toolbox().exec(artifact.push_as(tag)).deadline(cx.within);
        exec.lines(|_, line| cx.said(line)).succeed().await?;
    }
    if let Some(secret) = &push.pull_secret {
        apply::one(&pull_secret(secret, &cx.stage.registry().docker_config()), cx).await?;
    }
    Ok(())
}

/// What is pushed.
struct Artifact<'a> {
    version: &'a Version,
    repository: &'a str,
    folder: &'a str,
    source: &'a str,
    revision: &'a str,
    within: Duration,
}

impl Artifact<'_> {
    /// `flux tag artifact` knows no registry without TLS. What is pushed reproducibly under a second tag is the same artifact,
    /// by its digest, as tagging would have made it.
    fn push_as(&self, tag: &str) -> Vec<String> {
        vec![
            format!("flux-{}", self.version),
            "push".into(),
            "artifact".into(),
            format!("oci://{}/{}:{tag}", registry::ADDRESS, self.repository),
            format!("--path={}", self.folder),
            format!("--source={}", self.source),
            format!("--revision={}", self.revision),
            "--reproducible".into(),
            "--insecure-registry".into(),
            format!("--timeout={}s", self.within.as_secs().max(1)),
        ]
    }
}

/// A Secret by which Flux' sources pull from the registry.
pub(super) fn pull_secret(name: &ObjectRef, docker_config: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": name.namespace, "name": name.name},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": docker_config},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tag_is_the_same_artifact_but_for_its_name() {
        let artifact = Artifact {
            version: &"2.9.2".parse().unwrap(),
            repository: "team/fleet",
            folder: "/work/artifact/apps/web",
            source: "ssh://git@git.ferry/srv/git/fleet.git",
            revision: "main@sha1:abc",
            within: Duration::from_secs(60),
        };
        insta::assert_snapshot!(artifact.push_as("latest").join("\n"), @r"
        flux-2.9.2
        push
        artifact
        oci://registry.ferry:5000/team/fleet:latest
        --path=/work/artifact/apps/web
        --source=ssh://git@git.ferry/srv/git/fleet.git
        --revision=main@sha1:abc
        --reproducible
        --insecure-registry
        --timeout=60s
        ");
        let [latest, other] = ["latest", "v1.0.0"].map(|tag| artifact.push_as(tag));
        let different: Vec<_> = latest.iter().zip(&other).filter(|(a, b)| a != b).map(|(_, other)| other).collect();
        assert_eq!(different, ["oci://registry.ferry:5000/team/fleet:v1.0.0"]);
    }

    #[test]
    fn a_pull_secret_is_one_that_flux_reads() {
        let secret = pull_secret(&"secret/flux-system/fleet".parse().unwrap(), "{}");
        insta::assert_json_snapshot!(secret, @r#"
        {
          "apiVersion": "v1",
          "kind": "Secret",
          "metadata": {
            "name": "fleet",
            "namespace": "flux-system"
          },
          "stringData": {
            ".dockerconfigjson": "{}"
          },
          "type": "kubernetes.io/dockerconfigjson"
        }
        "#);
    }
}
