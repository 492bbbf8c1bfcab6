//! A node's `registries.yaml`: what the profile says, and the run's own registry.

use serde_json::{Map, Value, json};

use crate::registry;
use crate::run::Credentials;

/// Where k3s reads it from, once, when it starts.
pub const PATH: &str = "/etc/rancher/k3s/registries.yaml";

/// The profile's `registries` with the run's registry added: over plain HTTP, and as somebody, so that pods need no pull
/// secret. What the profile says of other registries stays.
pub fn render(profile: &Map<String, Value>, credentials: &Credentials) -> Result<String, serde_yaml::Error> {
    let mut document = profile.clone();
    let auth = json!({"username": credentials.username, "password": credentials.password});
    for (section, entry) in [
        ("mirrors", json!({"endpoint": [format!("http://{}", registry::ADDRESS)]})),
        ("configs", json!({"auth": auth})),
    ] {
        let section = document.entry(section).or_insert_with(|| json!({}));
        // Nothing is an empty section, as `mirrors:` alone is.
        if section.is_null() {
            *section = json!({});
        }
        if let Some(section) = section.as_object_mut() {
            section.insert(registry::ADDRESS.into(), entry);
        }
    }
    serde_yaml::to_string(&document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(profile: Value) -> String {
        let credentials = Credentials { username: "flux".into(), password: "secret".into() };
        render(profile.as_object().unwrap(), &credentials).unwrap()
    }

    #[test]
    fn the_runs_registry_is_known_to_every_node() {
        insta::assert_snapshot!(rendered(json!({})), @r"
        configs:
          registry.ferry:5000:
            auth:
              password: secret
              username: flux
        mirrors:
          registry.ferry:5000:
            endpoint:
            - http://registry.ferry:5000
        ");
    }

    #[test]
    fn what_the_profile_says_stays() {
        let profile = json!({
            "mirrors": {"docker.io": {"endpoint": ["https://mirror.example"]}, "registry.ferry:5000": {"endpoint": []}},
            "configs": null,
        });
        insta::assert_snapshot!(rendered(profile), @r"
        configs:
          registry.ferry:5000:
            auth:
              password: secret
              username: flux
        mirrors:
          docker.io:
            endpoint:
            - https://mirror.example
          registry.ferry:5000:
            endpoint:
            - http://registry.ferry:5000
        ");
    }
}
