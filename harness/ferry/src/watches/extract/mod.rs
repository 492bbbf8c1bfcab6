//! From an object as the API server sends it to what the record keeps of it. Pure: nothing is asked of the cluster.

mod config;
mod definition;
mod flux;
mod hash;
mod network;
mod node;
mod pod;
mod storage;
mod workload;

use std::collections::BTreeMap;

use ferry_record::cluster::{Condition, Manager, ObjectSeen, Owner, facts};
use kube::api::{ApiResource, DynamicObject};
use serde_json::Value;

/// Characters that are kept of a condition's or event's message. Validation errors quote whole objects.
const MESSAGE: usize = 1_000;

/// What matters of a kind beyond what all objects have.
struct Kind {
    /// Lower case.
    name: &'static str,
    extract: fn(&DynamicObject, &mut Facts),
}

const KINDS: [Kind; 12] = [
    Kind { name: "configmap", extract: config::extract },
    Kind { name: "customresourcedefinition", extract: definition::extract },
    Kind { name: "daemonset", extract: workload::extract },
    Kind { name: "deployment", extract: workload::extract },
    Kind { name: "endpointslice", extract: network::endpoint_slice },
    Kind { name: "namespace", extract: storage::phase },
    Kind { name: "persistentvolumeclaim", extract: storage::claim },
    Kind { name: "pod", extract: pod::extract },
    Kind { name: "replicaset", extract: workload::extract },
    Kind { name: "secret", extract: config::extract },
    Kind { name: "service", extract: network::service },
    Kind { name: "statefulset", extract: workload::extract },
];

/// What the record keeps of an object. Lists leave out what their items are, so the resource says it.
pub fn seen(object: &DynamicObject, resource: &ApiResource) -> ObjectSeen {
    let meta = &object.metadata;
    let kind = resource.kind.to_lowercase();
    let time = |time: &jiff::Timestamp| time.to_string();
    let mut found = Facts::default();
    found.hash(facts::SPEC, object.data.get("spec"));
    if let Some(kind) = KINDS.iter().find(|k| k.name == kind) {
        (kind.extract)(object, &mut found);
    }
    if is_flux(&resource.group) {
        flux::extract(object, &kind, &mut found);
    }
    let mut conditions = conditions(&object.data);
    if kind == "node" {
        conditions.retain(node::matters);
    }
    ObjectSeen {
        object: name(object, resource),
        api: resource.api_version.clone(),
        uid: meta.uid.clone().unwrap_or_default(),
        resource_version: meta.resource_version.clone().unwrap_or_default(),
        generation: meta.generation,
        observed_generation: observed_generation(&object.data),
        created: meta.creation_timestamp.as_ref().map(|t| time(&t.0)),
        deleting: meta.deletion_timestamp.as_ref().map(|t| time(&t.0)),
        owners: owners(object),
        finalizers: meta.finalizers.clone().unwrap_or_default(),
        labels: kept(meta.labels.as_ref(), |domain| domain == "app.kubernetes.io" || is_known(domain)),
        annotations: kept(meta.annotations.as_ref(), is_known),
        managers: managers(object),
        conditions,
        facts: found.0,
    }
}

/// An object's name in the record: `kind/namespace/name`, or `kind/name`.
pub fn name(object: &DynamicObject, resource: &ApiResource) -> String {
    let meta = &object.metadata;
    let name = meta.name.as_deref().unwrap_or_default();
    format!("{}/{}", resource.kind.to_lowercase(), crate::cluster::qualified(meta.namespace.as_deref(), name))
}

/// Whether an API group is one of Flux or of its operator.
pub fn is_flux(group: &str) -> bool {
    group.ends_with(".toolkit.fluxcd.io") || group == "fluxcd.controlplane.io"
}

/// Whether labels and annotations of this domain are Flux', its operator's or Helm's.
pub fn is_known(domain: &str) -> bool {
    ["fluxcd.io", "fluxcd.controlplane.io", "helm.sh"]
        .iter()
        .any(|known| domain.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// A message, shortened to what a person would read.
pub fn message(text: &str) -> String {
    match text.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn kept(all: Option<&BTreeMap<String, String>>, keep: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let domain = |key: &str| key.split_once('/').map_or("", |(domain, _)| domain).to_owned();
    all.into_iter().flatten().filter(|(key, _)| keep(&domain(key))).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn owners(object: &DynamicObject) -> Vec<Owner> {
    let references = object.metadata.owner_references.iter().flatten();
    references
        .map(|owner| Owner { object: format!("{}/{}", owner.kind.to_lowercase(), owner.name), uid: owner.uid.clone() })
        .collect()
}

fn managers(object: &DynamicObject) -> Vec<Manager> {
    let entries = object.metadata.managed_fields.iter().flatten();
    let mut managers: Vec<Manager> = entries
        .map(|entry| Manager {
            name: entry.manager.clone().unwrap_or_default(),
            operation: entry.operation.clone().unwrap_or_default(),
            subresource: entry.subresource.clone().unwrap_or_default(),
            time: entry.time.as_ref().map(|t| t.0.to_string()).unwrap_or_default(),
            fields: hash::of(entry.fields_v1.as_ref().map_or(&Value::Null, |fields| &fields.0)),
        })
        .collect();
    // The API server sorts them by time: an order of names changes only when they do.
    managers.sort_by(|a, b| {
        (&a.name, &a.operation, &a.subresource, &a.fields).cmp(&(&b.name, &b.operation, &b.subresource, &b.fields))
    });
    managers
}

fn conditions(data: &Value) -> Vec<Condition> {
    let text = |condition: &Value, key: &str| condition[key].as_str().unwrap_or_default().to_owned();
    let all = data.pointer("/status/conditions").and_then(Value::as_array);
    all.into_iter()
        .flatten()
        .map(|condition| Condition {
            kind: text(condition, "type"),
            status: text(condition, "status"),
            reason: text(condition, "reason"),
            message: message(&text(condition, "message")),
        })
        .collect()
}

/// FluxInstance and FluxReport note the generation in the condition alone.
fn observed_generation(data: &Value) -> Option<i64> {
    let ready = || {
        let all = data.pointer("/status/conditions")?.as_array()?;
        all.iter().find(|condition| condition["type"] == "Ready")?["observedGeneration"].as_i64()
    };
    data.pointer("/status/observedGeneration").and_then(Value::as_i64).or_else(ready)
}

/// [`ObjectSeen::facts`] in the making; what is absent is left out.
#[derive(Debug, Default)]
struct Facts(BTreeMap<String, String>);

impl Facts {
    fn set(&mut self, name: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value.map(Into::into).filter(|value| !value.is_empty()) {
            self.0.insert(name.to_owned(), value);
        }
    }

    fn hash(&mut self, name: &str, value: Option<&Value>) {
        self.set(name, value.filter(|value| !value.is_null()).map(hash::of));
    }

    fn text(&mut self, name: &str, data: &Value, pointer: &str) {
        self.set(name, data.pointer(pointer).and_then(Value::as_str));
    }

    /// A number; what an object leaves out is its default.
    fn number(&mut self, name: &str, data: &Value, pointer: &str, default: i64) {
        let value = data.pointer(pointer).and_then(Value::as_i64).unwrap_or(default);
        self.set(name, Some(value.to_string()));
    }

    fn list<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) {
        self.set(name, Some(values.into_iter().collect::<Vec<_>>().join(",")));
    }
}

/// The elements of a list in an object; none if it has none.
fn each<'a>(data: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    data.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// An object from YAML as `kubectl get -o yaml` prints it, and its resource.
    pub fn object(yaml: &str) -> (DynamicObject, ApiResource) {
        let object: DynamicObject = serde_yaml::from_str(yaml).unwrap();
        let types = object.types.clone().unwrap();
        let (group, version) = types.api_version.rsplit_once('/').unwrap_or(("", &types.api_version));
        let resource = ApiResource {
            group: group.into(),
            version: version.into(),
            api_version: types.api_version.clone(),
            plural: format!("{}s", types.kind.to_lowercase()),
            kind: types.kind,
        };
        (object, resource)
    }

    /// What is kept of an object from YAML.
    pub fn kept(yaml: &str) -> ObjectSeen {
        let (object, resource) = object(yaml);
        seen(&object, &resource)
    }

    /// Its facts but for the hash of its spec, as `name: value` lines.
    pub fn facts_of(yaml: &str) -> String {
        let seen = kept(yaml);
        let shown = seen.facts.iter().filter(|(name, _)| *name != facts::SPEC);
        shown.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn keeps_what_identifies_an_object() {
        let seen = testing::kept(
            "
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: apps
  namespace: flux-system
  uid: 3c1f2c3a-6f0b-4f3e-9a53-0a1b2c3d4e5f
  resourceVersion: '1234'
  generation: 2
  creationTimestamp: '2026-01-01T00:00:00Z'
  finalizers: [finalizers.fluxcd.io]
  labels:
    app.kubernetes.io/name: apps
    kustomize.toolkit.fluxcd.io/name: flux-system
    team: a
  annotations:
    reconcile.fluxcd.io/requestedAt: '2026-01-01T00:00:05Z'
    kubectl.kubernetes.io/last-applied-configuration: '{}'
  managedFields:
  - {manager: kustomize-controller, operation: Apply, time: '2026-01-01T00:00:01Z', apiVersion: v1, fieldsType: FieldsV1,
     fieldsV1: {'f:spec': {'f:path': {}}}}
  - {manager: gotk-kustomize-controller, operation: Update, subresource: status, time: '2026-01-01T00:00:03Z'}
spec: {path: ./apps, sourceRef: {kind: GitRepository, name: flux-system}}
status:
  observedGeneration: 1
  conditions:
  - {type: Ready, status: 'True', reason: ReconciliationSucceeded, message: Applied, lastTransitionTime: '2026-01-01T00:00:02Z'}
",
        );
        insta::assert_json_snapshot!(seen, @r#"
        {
          "object": "kustomization/flux-system/apps",
          "api": "kustomize.toolkit.fluxcd.io/v1",
          "uid": "3c1f2c3a-6f0b-4f3e-9a53-0a1b2c3d4e5f",
          "resource_version": "1234",
          "generation": 2,
          "observed_generation": 1,
          "created": "2026-01-01T00:00:00Z",
          "finalizers": [
            "finalizers.fluxcd.io"
          ],
          "labels": {
            "app.kubernetes.io/name": "apps",
            "kustomize.toolkit.fluxcd.io/name": "flux-system"
          },
          "annotations": {
            "reconcile.fluxcd.io/requestedAt": "2026-01-01T00:00:05Z"
          },
          "managers": [
            {
              "name": "gotk-kustomize-controller",
              "operation": "Update",
              "subresource": "status",
              "time": "2026-01-01T00:00:03Z",
              "fields": "74234e98afe7498f"
            },
            {
              "name": "kustomize-controller",
              "operation": "Apply",
              "time": "2026-01-01T00:00:01Z",
              "fields": "9bc4059b31359aa5"
            }
          ],
          "conditions": [
            {
              "type": "Ready",
              "status": "True",
              "reason": "ReconciliationSucceeded",
              "message": "Applied"
            }
          ],
          "facts": {
            "source": "gitrepository/flux-system/flux-system",
            "spec": "d3ed63ba40500deb",
            "suspended": "false"
          }
        }
        "#);
    }

    #[test]
    fn lists_say_what_their_items_are_only_once() {
        let (mut object, resource) =
            testing::object("{apiVersion: v1, kind: ServiceAccount, metadata: {name: web, namespace: apps}}");
        object.types = None;
        assert_eq!(seen(&object, &resource).object, "serviceaccount/apps/web");
        assert_eq!(seen(&object, &resource).api, "v1");
    }

    #[test]
    fn an_object_without_namespace_has_a_shorter_name() {
        let seen = testing::kept("{apiVersion: v1, kind: Namespace, metadata: {name: apps}}");
        assert_eq!(seen.object, "namespace/apps");
    }

    #[test]
    fn owners_and_deletion_are_kept() {
        let seen = testing::kept(
            "
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  namespace: apps
  deletionTimestamp: '2026-01-01T00:00:09Z'
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-5d8f, uid: u-1}]
",
        );
        assert_eq!(seen.deleting.as_deref(), Some("2026-01-01T00:00:09Z"));
        assert_eq!(seen.owners, [Owner { object: "replicaset/web-5d8f".into(), uid: "u-1".into() }]);
    }

    #[rstest]
    #[case("fluxcd.io", true)]
    #[case("kustomize.toolkit.fluxcd.io", true)]
    #[case("fluxcd.controlplane.io", true)]
    #[case("helm.sh", true)]
    #[case("meta.helm.sh", true)]
    #[case("app.kubernetes.io", false)]
    #[case("notfluxcd.io", false)]
    #[case("", false)]
    fn knows_whose_domains_matter(#[case] domain: &str, #[case] expected: bool) {
        assert_eq!(is_known(domain), expected);
    }

    #[rstest]
    #[case("source.toolkit.fluxcd.io", true)]
    #[case("fluxcd.controlplane.io", true)]
    #[case("apps", false)]
    #[case("toolkit.fluxcd.io.example.com", false)]
    fn knows_flux_groups(#[case] group: &str, #[case] expected: bool) {
        assert_eq!(is_flux(group), expected);
    }

    #[rstest]
    #[case("{observedGeneration: 3}", Some(3))]
    #[case("{conditions: [{type: Ready, observedGeneration: 4}]}", Some(4))]
    #[case("{observedGeneration: 3, conditions: [{type: Ready, observedGeneration: 4}]}", Some(3))]
    #[case("{conditions: [{type: Healthy, observedGeneration: 4}]}", None)]
    #[case("{}", None)]
    fn finds_the_observed_generation(#[case] status: &str, #[case] expected: Option<i64>) {
        let yaml = format!("{{status: {status}}}");
        assert_eq!(observed_generation(&serde_yaml::from_str(&yaml).unwrap()), expected);
    }

    #[test]
    fn the_order_of_managers_does_not_matter() {
        let of = |entries: [&str; 2]| {
            let yaml = format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: a, managedFields: [{}]}}}}",
                entries.join(",")
            );
            testing::kept(&yaml).managers
        };
        let [a, b] = ["{manager: a, operation: Apply}", "{manager: b, operation: Update}"];
        assert_eq!(of([a, b]), of([b, a]));
    }

    #[test]
    fn long_messages_are_shortened() {
        assert_eq!(message("short"), "short");
        assert_eq!(message(&"ä".repeat(2_000)).chars().count(), MESSAGE + 1);
    }
}
