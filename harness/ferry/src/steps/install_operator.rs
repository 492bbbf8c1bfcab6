//! `install-operator`: the release's own manifests, or its chart by helm or by Flux, with the image taken from the lab's registry.

use std::time::Duration;

use ferry_lab::{registry, toolbox};
use ferry_scenario::steps::{InstallOperator, Via};
use ferry_scenario::text::{ObjectRef, Version};
use serde_json::{Value, json};

use super::{Context, StepError, apply, push_artifact};
use crate::run::fleet::FLUX_SYSTEM;
use crate::run::stage::{self, Stage};

/// What the release of Helm, the HelmRelease, its source and that source's Secret are called, as in upstream's guide.
const NAME: &str = "flux-operator";

/// The folder of charts in the lab's registry.
const CHARTS: &str = "charts";

pub(super) async fn execute(install: &InstallOperator, cx: &Context<'_>) -> Result<(), StepError> {
    let version = install.version(cx.scenario).ok_or_else(|| {
        StepError::mismatch("the step does not say which Flux Operator to install", "add `version:`".to_string())
    })?;
    match install.via {
        Via::Manifests => {
            let manifests = cx.stage.operator_manifests().await?;
            let image = format!("{}:v{version}", stage::OPERATOR_IMAGE);
            apply::manifests(&with_image(&manifests, &image), cx).await?;
        }
        Via::Helm => tool(helm_install(version, cx.within), cx).await?,
        Via::Flux => {
            tool(helm_push(version), cx).await?;
            for object in by_flux(version, &cx.stage.registry().docker_config()) {
                apply::one(&object, cx).await?;
            }
            cx.ready("helmrelease", Some(FLUX_SYSTEM), NAME).await?;
        }
    }
    cx.ready("customresourcedefinition", None, "fluxinstances.fluxcd.controlplane.io").await?;
    Ok(())
}

async fn tool(command: Vec<String>, cx: &Context<'_>) -> Result<(), StepError> {
    cx.toolbox().exec(command).deadline(cx.within).lines(|_, line| cx.said(line)).succeed().await?;
    Ok(())
}

fn helm_install(version: &Version, within: Duration) -> Vec<String> {
    vec![
        "helm".into(),
        "install".into(),
        NAME.into(),
        Stage::operator_chart(version),
        format!("--namespace={FLUX_SYSTEM}"),
        "--create-namespace".into(),
        format!("--set-string=image.repository={},image.tag=v{version}", stage::OPERATOR_IMAGE),
        format!("--timeout={}s", within.as_secs().max(1)),
    ]
}

fn helm_push(version: &Version) -> Vec<String> {
    vec![
        "helm".into(),
        "push".into(),
        Stage::operator_chart(version),
        format!("oci://{}/{CHARTS}", registry::ADDRESS),
        "--plain-http".into(),
        format!("--registry-config={}/config.json", toolbox::DOCKER_CONFIG),
    ]
}

/// What Flux installs the chart from: the registry's credentials, the chart's source, the release.
fn by_flux(version: &Version, docker_config: &str) -> [Value; 3] {
    let secret = ObjectRef { kind: "secret".into(), namespace: Some(FLUX_SYSTEM.into()), name: NAME.into() };
    let metadata = json!({"namespace": FLUX_SYSTEM, "name": NAME});
    let source = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": metadata,
        "spec": {
            "interval": "1h",
            "url": format!("oci://{}/{CHARTS}/{NAME}", registry::ADDRESS),
            "insecure": true,
            "ref": {"tag": version.to_string()},
            "secretRef": {"name": NAME},
            "layerSelector": {
                "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
                "operation": "copy",
            },
        },
    });
    let release = json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": metadata,
        "spec": {
            "interval": "1h",
            "releaseName": NAME,
            "chartRef": {"kind": "OCIRepository", "name": NAME},
            "values": {"image": {"repository": stage::OPERATOR_IMAGE, "tag": format!("v{version}")}},
        },
    });
    [push_artifact::pull_secret(&secret, docker_config), source, release]
}

/// The manifests with upstream's image, whatever its tag, replaced.
fn with_image(manifests: &str, image: &str) -> String {
    let replaced = |line: &str| match line.split_once("image: ") {
        Some((indent, old)) if old.contains("flux-operator") => format!("{indent}image: {image}"),
        _ => line.to_string(),
    };
    manifests.lines().map(replaced).collect::<Vec<_>>().join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_operators_image_is_replaced() {
        let manifests =
            "  - name: manager\n    image: ghcr.io/controlplaneio-fluxcd/flux-operator:v0.59.0\n    image: other:v1\n";
        let expected = "  - name: manager\n    image: registry:5000/op:v1\n    image: other:v1\n";
        assert_eq!(with_image(manifests, "registry:5000/op:v1"), expected);
    }

    #[test]
    fn helm_is_told_what_and_where() {
        let version = "0.59.0".parse().unwrap();
        insta::assert_snapshot!(helm_install(&version, Duration::from_secs(120)).join("\n"), @"
        helm
        install
        flux-operator
        /usr/local/share/flux-operator/flux-operator-0.59.0.tgz
        --namespace=flux-system
        --create-namespace
        --set-string=image.repository=registry.ferry:5000/controlplaneio-fluxcd/flux-operator,image.tag=v0.59.0
        --timeout=120s
        ");
        insta::assert_snapshot!(helm_push(&version).join("\n"), @"
        helm
        push
        /usr/local/share/flux-operator/flux-operator-0.59.0.tgz
        oci://registry.ferry:5000/charts
        --plain-http
        --registry-config=/etc/ferry/docker/config.json
        ");
    }

    #[test]
    fn flux_finds_the_chart_where_helm_has_pushed_it() {
        let version = "0.59.0".parse().unwrap();
        let [secret, source, release] = by_flux(&version, "{}");
        let pushed_to = helm_push(&version)[3].clone();
        assert_eq!(source["spec"]["url"], format!("{pushed_to}/flux-operator"));
        assert_eq!(source["spec"]["secretRef"]["name"], secret["metadata"]["name"]);
        assert_eq!(release["spec"]["chartRef"]["name"], source["metadata"]["name"]);
        insta::assert_json_snapshot!(release["spec"]["values"], @r#"
        {
          "image": {
            "repository": "registry.ferry:5000/controlplaneio-fluxcd/flux-operator",
            "tag": "v0.59.0"
          }
        }
        "#);
    }
}
