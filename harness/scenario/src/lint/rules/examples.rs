//! What rules' examples have in common.

/// Steps of a take-over.
pub const TAKE_OVER: &str = "\
operator: {version: 0.59.0}
- install-operator: {}
- apply: {file: instance.yaml}
- wait: {ready: fluxinstance/flux-system/flux}";

/// A FluxInstance that breaks no rule.
pub const INSTANCE: &str = "\
apiVersion: fluxcd.controlplane.io/v1
kind: FluxInstance
metadata: {name: flux, namespace: flux-system}
spec:
  distribution: {version: 2.9.4, registry: \"registry.ferry:5000/fluxcd\"}
  components: [source-controller, kustomize-controller, helm-controller, notification-controller]
  sync:
    kind: GitRepository
    url: ssh://git@git.ferry/srv/git/fleet.git
    ref: refs/heads/main
    path: clusters/test
    pullSecret: flux-system
";

/// A FluxInstance of which only a part matters; other rules have something to say of what it leaves out.
macro_rules! instance {
    ($spec:literal) => {
        concat!(
            "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\n",
            "metadata: {name: flux, namespace: flux-system}\nspec:\n  ",
            $spec,
            "\n"
        )
    };
}
pub(super) use instance;
