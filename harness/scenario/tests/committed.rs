//! The scenarios and the schema in this repository: they must be in order with this language.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by them")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use ferry_scenario::catalogue::catalogue;
use ferry_scenario::select::{Candidate, Suites, suites};
use ferry_scenario::steps::KINDS;
use ferry_scenario::{Cell, Disk, Given, Plan, Sets, discover, find, lint, parse_with, plan, schema};

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn planned(id: &str) -> Plan {
    let entry = find(&scenarios(), id).unwrap_or_else(|| panic!("{id} is not there"));
    plan(&entry.scenario.unwrap(), &Cell::default(), &Disk::new(scenarios()))
}

#[test]
fn every_scenario_is_in_order() {
    let entries = discover(&scenarios()).unwrap();
    let in_cells = entries.iter().flat_map(|entry| entry.cells().into_iter().map(|cell| entry.trial_name(&cell)));
    let names: Vec<String> = in_cells.collect();
    insta::assert_debug_snapshot!(names, @r#"
    [
        "faults::official::k8s_1_34::kind::at_bootstrap::fault_kustomize_controller",
        "faults::official::k8s_1_34::kind::at_take_over::fault_kustomize_controller",
        "faults::official::k8s_1_34::kind::at_clean_up::fault_kustomize_controller",
        "faults::official::k8s_1_34::kind::at_deliver::fault_kustomize_controller",
        "faults::official::k8s_1_34::kind::at_bootstrap::fault_source_controller",
        "faults::official::k8s_1_34::kind::at_take_over::fault_source_controller",
        "faults::official::k8s_1_34::kind::at_clean_up::fault_source_controller",
        "faults::official::k8s_1_34::kind::at_deliver::fault_source_controller",
        "faults::official::k8s_1_34::kind::at_take_over::fault_operator",
        "faults::official::k8s_1_34::kind::at_clean_up::fault_operator",
        "faults::official::k8s_1_34::kind::at_deliver::fault_operator",
        "faults::official::k8s_1_34::kind::at_bootstrap::fault_git",
        "faults::official::k8s_1_34::kind::at_take_over::fault_git",
        "faults::official::k8s_1_34::kind::at_clean_up::fault_git",
        "faults::official::k8s_1_34::kind::at_deliver::fault_git",
        "faults::official::k8s_1_34::kind::at_bootstrap::fault_api_server",
        "faults::official::k8s_1_34::kind::at_take_over::fault_api_server",
        "faults::official::k8s_1_34::kind::at_clean_up::fault_api_server",
        "faults::official::k8s_1_34::kind::at_deliver::fault_api_server",
        "faults::official::k8s_1_34::kind::at_bootstrap::fault_registry",
        "faults::official::k8s_1_34::kind::at_take_over::fault_registry",
        "faults::official::k8s_1_34::kind::at_clean_up::fault_registry",
        "faults::official::k8s_1_34::kind::at_deliver::fault_registry",
        "faults::official::k8s_1_34::kind::at_bootstrap::fault_node",
        "faults::official::k8s_1_34::kind::at_take_over::fault_node",
        "faults::official::k8s_1_34::kind::at_clean_up::fault_node",
        "faults::official::k8s_1_34::kind::at_deliver::fault_node",
        "istio::ambient::k8s_1_34::kind",
        "istio::probe_snat::k8s_1_34::kind",
        "lifecycle::components::k8s_1_34::kind",
        "lifecycle::distribution_artifact::k8s_1_34::kind",
        "lifecycle::private_registry::k8s_1_34::kind",
        "lifecycle::reconcile_every::k8s_1_34::kind",
        "lifecycle::reinstall::k8s_1_34::kind",
        "lifecycle::sharding::k8s_1_34::kind",
        "lifecycle::storage::k8s_1_34::kind",
        "lifecycle::suspend::k8s_1_34::kind",
        "lifecycle::uninstall::k8s_1_34::kind",
        "lifecycle::upgrade::k8s_1_34::kind",
        "lifecycle::variant::k8s_1_34::kind",
        "multitenant::dev::k8s_1_34::kind",
        "multitenant::flip_without_accounts::k8s_1_34::kind",
        "multitenant::flip::k8s_1_34::kind",
        "multitenant::official::k8s_1_34::kind",
        "multitenant::refusals::k8s_1_34::kind",
        "multitenant::stage_prod::k8s_1_34::kind",
        "network_policy::default_deny_covered::k8s_1_34::kind",
        "network_policy::default_deny::k8s_1_34::kind",
        "network_policy::toggle::k8s_1_34::kind",
        "oci_sync::broken_artifact::k8s_1_34::kind",
        "oci_sync::by_digest::k8s_1_34::kind",
        "oci_sync::by_semver::k8s_1_34::kind",
        "oci_sync::children_left_behind::k8s_1_34::kind",
        "oci_sync::git_to_oci::k8s_1_34::kind",
        "oci_sync::registry_credentials::k8s_1_34::kind",
        "rollback::official_back::k8s_1_34::kind",
        "rollback::official_naive::k8s_1_34::kind",
        "rollback::official::k8s_1_34::kind",
        "rollback::phased_naive::k8s_1_34::kind",
        "rollback::phased::k8s_1_34::kind",
        "self_test::broken_workload::k8s_1_34::kind",
        "self_test::cut_workload::k8s_1_34::kind",
        "self_test::every_node::k8s_1_34::kind",
        "self_test::fighting_owner::k8s_1_34::kind",
        "self_test::killed_agent::k8s_1_34::kind",
        "self_test::language::k8s_1_34::kind::greeting_hello",
        "self_test::node_restart::k8s_1_34::kind",
        "self_test::omitted_component::k8s_1_34::kind",
        "self_test::policy_removed::k8s_1_34::kind",
        "self_test::policy_unenforced::k8s_1_34::kind",
        "self_test::probes::k8s_1_34::kind",
        "self_test::refused_image::k8s_1_34::kind",
        "self_test::restarted_workload::k8s_1_34::kind",
        "self_test::starved_host::k8s_1_34::kind",
        "self_test::starved_sampler::k8s_1_34::kind",
        "single_tenant::flux_installs_operator::k8s_1_34::kind",
        "single_tenant::from_helm::k8s_1_34::kind",
        "single_tenant::from_kubectl_install::k8s_1_34::kind::server_side_false",
        "single_tenant::from_kubectl_install::k8s_1_34::kind::server_side_true",
        "single_tenant::github_app::k8s_1_34::kind",
        "single_tenant::helm_chartref::k8s_1_34::kind",
        "single_tenant::newest::k8s_1_34::kind",
        "single_tenant::official_instance_in_git::k8s_1_34::kind",
        "single_tenant::official::k8s_1_34::kind",
        "single_tenant::operator_by_flux::k8s_1_34::kind",
        "single_tenant::operator_by_helm::k8s_1_34::kind",
        "single_tenant::phased_edge_first::k8s_1_34::kind",
        "single_tenant::releases::k8s_1_34::kind",
        "single_tenant::secret_from_store::k8s_1_34::kind::by_external_secrets",
        "single_tenant::secret_from_store::k8s_1_34::kind::by_copy",
        "single_tenant::sops_age::k8s_1_34::kind",
        "single_tenant::ssh_to_https::k8s_1_34::kind",
        "single_tenant::version_step::k8s_1_34::kind",
        "traps::clean_up_first_bootstrap::k8s_1_34::kind",
        "traps::clean_up_first::k8s_1_34::kind",
        "traps::fight::k8s_1_34::kind",
        "traps::finalizers::k8s_1_34::kind",
        "traps::first_install_downgrade::k8s_1_34::kind",
        "traps::helm_uninstall::k8s_1_34::kind",
        "traps::instance_in_git_first::k8s_1_34::kind",
        "traps::instance_in_git_reverted::k8s_1_34::kind",
        "traps::instance_in_git::k8s_1_34::kind",
        "traps::lost_decryption_silent::k8s_1_34::kind",
        "traps::lost_decryption::k8s_1_34::kind",
        "traps::lost_sync_fields::k8s_1_34::kind",
        "traps::missing_pull_secret::k8s_1_34::kind",
        "traps::omitted_component_listed::k8s_1_34::kind",
        "traps::omitted_component::k8s_1_34::kind",
        "traps::operator_manifests_deleted::k8s_1_34::kind",
        "traps::ref_name::k8s_1_34::kind",
        "traps::removed_api_versions_migrated::k8s_1_34::kind",
        "traps::removed_api_versions::k8s_1_34::kind",
        "traps::reverted_instance::k8s_1_34::kind",
        "traps::second_sync::k8s_1_34::kind",
        "traps::sync_rename_orphaned::k8s_1_34::kind",
        "traps::sync_rename::k8s_1_34::kind",
        "traps::wrong_path_belt::k8s_1_34::kind",
        "traps::wrong_path::k8s_1_34::kind",
    ]
    "#);
    for entry in entries {
        for cell in entry.cells() {
            let read = entry.load(Some(&cell), &Sets::new());
            let scenario = read.unwrap_or_else(|found| panic!("{}", found.to_text()));
            let found = lint(&scenario, &Disk::new(scenarios()));
            // What is allowed may be found only by who knows the bundle, as the command does.
            let left: Vec<_> = found.iter().filter(|diagnostic| diagnostic.code != "F003").collect();
            assert!(left.is_empty(), "{}", found.to_text());
        }
    }
}

#[test]
fn every_scenario_tells_editors_of_the_schema() {
    for entry in discover(&scenarios()).unwrap() {
        let text = fs_err::read_to_string(&entry.path).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema=../schema/scenario.v1.json\n"), "{}", entry.id());
    }
}

/// The numbers of a run's promise are in the plan: what a step may take is never unlimited or unnamed.
#[test]
fn the_official_plan() {
    let plan = planned("single-tenant/official");
    insta::assert_snapshot!(plan, @r#"
    single-tenant/official — The official migration of a bootstrapped cluster, step by step as in the operator's guide
      cell     k8s_1_34::kind
      cluster  single-node
      fleet    fleets/web
      probe    web/outside/new GET node port 30080/ at 20/s
      probe    web/outside/reused GET node port 30080/ at 20/s
      probe    web/inside/new GET http://web.apps.svc.cluster.local/ at 20/s
      probe    web/inside/reused GET http://web.apps.svc.cluster.local/ at 20/s
      judged   no-lost-request, latency, no-restart, same-uid, no-rollout, one-owner, no-orphan, no-residue, crds-kept, sources-kept, reconciles, no-error-logs and managed-by
      proof    the probes' own, 10s of quiet before, 10s of soak after

    bootstrap (budget: 0 failed, outage 0s)
       1  bootstrap Flux 2.9.2 from clusters/test over ssh (≤ 3m)
       2  wait until kustomization/flux-system/flux-system is ready (≤ 2m)
       3  wait until kustomization/flux-system/apps is ready (≤ 2m)
       4  wait until deployment/apps/web is ready (≤ 2m)

    take over (budget: 0 failed, outage 0s)
       5  install Flux Operator 0.59.0 (≤ 2m)
       6  apply instance.yaml (≤ 1m)
       7  wait until fluxinstance/flux-system/flux is ready (≤ 5m)
       8  wait until deployment/flux-system/flux-operator is ready (≤ 1m)
       9  assert that fluxreport/flux-system/flux has spec.distribution.managedBy = flux-operator (≤ 1m)
      10  assert that deployment/flux-system/source-controller has spec.template.spec.containers[0].readinessProbe.periodSeconds = 1 (≤ 30s)
      11  assert that deployment/flux-system/source-controller has no metadata.labels["kustomize.toolkit.fluxcd.io/name"] (≤ 30s)

    clean up (budget: 0 failed, outage 0s)
      12  commit “Flux is now managed by Flux Operator” (≤ 1m)
      13  wait until every sync has applied the latest commit (≤ 3m)
      14  wait until fluxinstance/flux-system/flux is ready (≤ 1m)
      15  wait until deployment/flux-system/source-controller is ready (≤ 1m)
      16  wait until deployment/flux-system/kustomize-controller is ready (≤ 1m)

    deliver (budget: 0 failed, outage 0s)
          meant to change deployment/apps/web
      17  commit “Greet from the operator's side” (≤ 1m)
      18  wait until every sync has applied the latest commit (≤ 3m)
      19  assert that deployment/apps/web has spec.template.spec.containers[0].env[0].value = hello from the operator (≤ 30s)
      20  wait until deployment/apps/web is ready (≤ 2m)

    needs
      Flux 2.9.2: helm-controller, kustomize-controller, notification-controller, source-controller
      Flux 2.9.4: helm-controller, kustomize-controller, notification-controller, source-controller
      flux command 2.9.2
      Flux Operator 0.59.0
      git
      the probe agent

    estimate
      memory  about 1.3 GiB, 1 node
      time    about 1m45s, 20s of it slept, once images are cached
      steps   at most 33m30s, the sum of their deadlines
    "#);
    for step in plan.phases.iter().flat_map(|phase| &phase.steps) {
        assert!(step.deadline.limit > Duration::ZERO && !step.deadline.name.is_empty(), "{step:?}");
    }
}

/// For programs: every figure of the official run but its steps, which the text above shows.
#[test]
fn the_official_plan_as_json() {
    let mut plan = serde_json::to_value(planned("single-tenant/official")).unwrap();
    for phase in plan["phases"].as_array_mut().unwrap() {
        let steps = phase["steps"].as_array().unwrap().len();
        phase["steps"] = format!("[{steps} STEPS]").into();
    }
    insta::assert_json_snapshot!(plan);
}

#[test]
fn a_plan_as_json() {
    let mut plan = serde_json::to_value(planned("self-test/starved-sampler")).unwrap();
    let step = &mut plan["phases"][1]["steps"][2];
    step["place"]["file"] = "[FILE]".into();
    insta::assert_json_snapshot!(step, @r#"
    {
      "deadline": {
        "limit": "3s",
        "name": "for",
        "set-by": "step"
      },
      "kind": "stall-sampler",
      "place": {
        "column": 9,
        "file": "[FILE]",
        "line": 24
      },
      "title": "stall the sampler for 3s"
    }
    "#);
}

fn committed_suites() -> Suites {
    let entries = discover(&scenarios()).unwrap();
    let ids: Vec<String> = entries.iter().map(|entry| entry.id()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let text = fs_err::read_to_string(scenarios().join(suites::FILE)).unwrap();
    suites::load("scenarios/suites.yaml", &text, &ids).unwrap_or_else(|found| panic!("{}", found.to_text()))
}

#[test]
fn the_suites_are_in_order() {
    let suites = committed_suites();
    let names: Vec<&str> = suites.all().iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names, ["smoke", "ci", "nightly", "weekly", "floating", "full"]);
    let cell = Cell::default();
    for entry in discover(&scenarios()).unwrap() {
        let scenario = entry.scenario.as_ref().unwrap();
        let tags: Vec<&str> = scenario.tags.iter().map(|tag| tag.as_str()).collect();
        let candidate = Candidate { area: &entry.area, name: &entry.name, tags: &tags, suites: &[], cell: &cell };
        assert!(suites.of(&candidate).contains(&"full"), "{}", entry.id());
        if entry.id() == "single-tenant/official" {
            assert_eq!(suites.of(&candidate), names);
        }
    }
}

#[test]
fn the_committed_catalogue_is_current() {
    let path = scenarios().join("README.md");
    let entries = discover(&scenarios()).unwrap();
    let current = catalogue(&entries, &committed_suites(), &Disk::new(scenarios()));
    if std::env::var_os("UPDATE_CATALOGUE").is_some() {
        fs_err::write(&path, &current).unwrap();
    }
    let committed = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == current,
        "scenarios/README.md is out of date: run `UPDATE_CATALOGUE=1 cargo test -p ferry-scenario --test committed`"
    );
}

#[test]
fn the_committed_schema_is_current() {
    let path = scenarios().join("schema/scenario.v1.json");
    let current = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs_err::write(&path, &current).unwrap();
    }
    let committed = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == current,
        "scenarios/schema/scenario.v1.json is out of date: run `UPDATE_SCHEMA=1 cargo test -p ferry-scenario --test committed`"
    );
}

/// Editors must see what the parser sees: every key and every kind of step, with its documentation.
#[test]
fn the_schema_documents_everything() {
    fn undocumented(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
        for (name, property) in value["properties"].as_object().into_iter().flatten() {
            let inner = property.get("$ref").is_some();
            if property.get("description").is_none() && !inner {
                found.push(format!("{path}.{name}"));
            }
        }
    }
    let schema = schema();
    let mut found = Vec::new();
    undocumented(&schema, "Scenario", &mut found);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        undocumented(definition, name, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
    let kinds: Vec<&str> = schema["$defs"]["Step"]["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind["required"][0].as_str().unwrap())
        .collect();
    assert_eq!(kinds, KINDS.iter().map(|kind| kind.kind).collect::<Vec<_>>());
}

/// An editor that knows the schema accepts what the parser accepts, and rejects the mistakes that a schema can see.
#[test]
fn the_schema_judges_like_the_parser() {
    let schema = schema();
    let wait = &schema["$defs"]["Wait"];
    assert_eq!(wait["oneOf"].as_array().unwrap().len(), 11, "one condition at a time");
    assert_eq!(wait["additionalProperties"], false);
    let conditions =
        |name: &str| schema["$defs"][name]["oneOf"].as_array().unwrap().iter().map(|c| c["required"][0].clone());
    assert!(conditions("Wait").eq(conditions("Condition")), "conditions are the same inside of `all`, `any` and `not`");
    assert_eq!(schema["$defs"]["Assert"]["dependentRequired"]["path"], serde_json::json!(["object", "equals"]));
    assert_eq!(schema["properties"]["timeouts"]["propertyNames"]["$ref"], "#/$defs/Deadline");
}

/// A scenario's top-level sections: key → text.
fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match sections.last_mut() {
            Some((_, section)) if line.starts_with(' ') => *section += &format!("{line}\n"),
            _ => sections.push((line.split(':').next().unwrap_or_default().into(), format!("{line}\n"))),
        }
    }
    sections
}

/// What an example leaves out is as in the first one.
#[test]
fn the_examples_of_the_readme_are_read_and_lint() {
    let readme = fs_err::read_to_string(scenarios().join("../README.md")).unwrap();
    let examples: Vec<&str> = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 3);
    let whole = sections(examples[0]);
    for example in examples {
        let mut all = sections(example);
        let missing: Vec<_> = whole.iter().filter(|(key, _)| all.iter().all(|(known, _)| known != key)).collect();
        all.extend(missing.into_iter().cloned());
        let text: String = all.into_iter().map(|(_, section)| section).collect();
        let files = Disk::new(scenarios());
        let given = Given { files: &files, sets: &Sets::new(), cell: None };
        let name = scenarios().join("single-tenant/official.yaml").display().to_string();
        let scenario = parse_with(&name, &text, given).unwrap_or_else(|found| panic!("{text}\n{}", found.to_text()));
        let found = lint(&scenario, &files);
        assert!(!found.has_errors(), "{}", found.to_text());
    }
}
