//! Which files of a fleet Flux comes to apply, following paths and resources as its controllers do.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::{Fleet, Manifest};
use crate::lint::course::normal;

impl Fleet {
    /// The objects below the given folders, and below every folder that Kustomizations there lead to.
    pub(in crate::lint) fn synced(&self, paths: &[String]) -> Vec<Rc<Manifest>> {
        let mut folders: BTreeSet<String> = BTreeSet::new();
        let mut next: Vec<String> = paths.to_vec();
        while let Some(path) = next.pop() {
            if !folders.insert(path.clone()) {
                continue;
            }
            for manifest in self.manifests.iter().filter(|m| self.is_below(m, &path)) {
                if manifest.is("kustomize.toolkit.fluxcd.io", "Kustomization") {
                    next.extend(manifest.text("spec.path").map(normal));
                }
                let below =
                    self.inside(manifest).and_then(|file| file.rsplit_once('/')).map_or("", |(folder, _)| folder);
                next.extend(manifest.resources().filter_map(|(resource, _)| joined(below, resource)));
            }
        }
        let is_synced = |m: &&Rc<Manifest>| folders.iter().any(|folder| self.is_below(m, folder));
        self.manifests.iter().filter(is_synced).map(Rc::clone).collect()
    }

    /// Whether a manifest's file is the path, or below it.
    pub(in crate::lint) fn is_below(&self, manifest: &Manifest, path: &str) -> bool {
        let Some(file) = self.inside(manifest) else { return false };
        path.is_empty() || file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// `../base` as seen from `apps/web`; none for what is not in the fleet.
pub(in crate::lint) fn joined(folder: &str, resource: &str) -> Option<String> {
    if is_remote(resource) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in resource.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether kustomize would fetch it: a URL, or a repository with a ref.
pub(in crate::lint) fn is_remote(resource: &str) -> bool {
    resource.contains("://")
        || resource.starts_with("git@")
        || resource.starts_with("github.com/")
        || resource.contains("?ref=")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("apps/web", "../base", Some("apps/base"))]
    #[case("apps/web", "deployment.yaml", Some("apps/web/deployment.yaml"))]
    #[case("", "./apps/", Some("apps"))]
    #[case("apps", "../../outside", None)]
    #[case("apps", "https://example.com/x.yaml", None)]
    #[case("apps", "github.com/org/repo//deploy?ref=main", None)]
    fn resources_lead_to_paths(#[case] folder: &str, #[case] resource: &str, #[case] path: Option<&str>) {
        assert_eq!(joined(folder, resource).as_deref(), path);
    }
}
