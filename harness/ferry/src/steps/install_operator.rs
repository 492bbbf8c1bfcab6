//! `install-operator`: the release's own manifests, with the image taken from the lab's registry.

use ferry_scenario::steps::InstallOperator;

use super::{Context, StepError, apply};
use crate::run::stage;

pub(super) async fn execute(install: &InstallOperator, cx: &Context<'_>) -> Result<(), StepError> {
    let version = install.version(cx.scenario).ok_or_else(|| {
        StepError::mismatch("the step does not say which Flux Operator to install", "add `version:`".to_string())
    })?;
    let manifests = cx.stage.operator_manifests().await?;
    let image = format!("{}:v{version}", stage::OPERATOR_IMAGE);
    apply::manifests(&with_image(&manifests, &image), cx).await?;
    cx.ready("customresourcedefinition", None, "fluxinstances.fluxcd.controlplane.io").await?;
    Ok(())
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
}
