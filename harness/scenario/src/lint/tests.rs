//! Every rule's own examples: what breaks it is reported under its code, what does not is not.

use super::Rule;
use crate::diagnostic::Diagnostics;
use crate::folders::tests::Memory;
use crate::parse::tests::example;
use crate::{Given, Sets, lint, parse_with};

/// The files that examples name.
fn files() -> Memory {
    Memory(
        [
            ("example-area/instance.yaml", "kind: FluxInstance"),
            ("fleets/web/apps/web.yaml", "greeting: old"),
            ("fleets/web/clusters/test/apps.yaml", "kind: Kustomization"),
            ("fragments/nothing.yaml", "{fragment: nothing, summary: None, steps: []}"),
            (
                "fragments/settle.yaml",
                "{fragment: settle, summary: Waits, vars: {object: null}, steps: [wait: {ready: \"{{ object }}\"}]}",
            ),
        ]
        .into(),
    )
}

fn findings(sections: &str) -> Diagnostics {
    let files = files();
    let given = Given { files: &files, sets: &Sets::new(), cell: None };
    let scenario = parse_with("scenarios/example-area/example.yaml", &example(sections), given)
        .unwrap_or_else(|e| panic!("{}", e.to_text()));
    lint(&scenario, &files)
}

#[test]
fn every_rule_keeps_its_word() {
    for rule in super::all_rules() {
        let codes: Vec<&str> = findings(rule.failing).iter().map(|d| d.code).collect();
        assert!(codes.contains(&rule.code), "{} {}: the failing example gives {codes:?}", rule.code, rule.name);
        assert_eq!(findings(rule.passing).to_text(), "", "{} {}: the passing example", rule.code, rule.name);
    }
}

#[test]
fn no_code_or_name_is_given_twice() {
    let rules = super::all_rules();
    for (i, rule) in rules.iter().enumerate() {
        let twin = rules[..i].iter().find(|r| r.code == rule.code || r.name == rule.name);
        assert_eq!(twin, None, "{rule:?}");
    }
}

#[test]
fn the_example_that_others_are_made_from_breaks_no_rule() {
    assert_eq!(findings("").to_text(), "");
}

#[test]
fn a_replaced_text_may_come_from_an_earlier_commit() {
    let commit =
        |from: &str, to: &str| format!("{{commit: {{message: m, replace: {{apps/web.yaml: {{{from}: {to}}}}}}}}}");
    let phases = |steps: [String; 2]| {
        format!("phases: [{{phase: a, steps: [{}]}}, {{phase: b, steps: [{}]}}]", steps[0], steps[1])
    };
    assert_eq!(findings(&phases([commit("old", "new"), commit("new", "newer")])).to_text(), "");
    let written = "{commit: {message: m, write: {apps/more.yaml: text}}}".to_owned();
    let replaced = "{commit: {message: m, replace: {apps/more.yaml: {text: other}}}}".to_owned();
    assert_eq!(findings(&phases([written, replaced])).to_text(), "");
}

/// Everything that a rule says about its own failing example.
#[test]
fn what_rules_say() {
    let own = |rule: &Rule| {
        let found = findings(rule.failing).into_iter().filter(|d| d.code == rule.code);
        found.map(|d| d.to_text() + "\n").collect::<String>()
    };
    let texts: String = super::all_rules().iter().map(own).collect();
    insta::assert_snapshot!(texts.replace("scenarios/example-area/example.yaml:", ""), @r"
    1:11: error[F101]: the scenario has no phases (add what shall happen: `phases:` with at least one `phase:` and its `steps:`)
    9:81: error[F102]: the phase `soak` has no steps (add steps, or remove the phase)
    9:68: error[F103]: a second phase `a`, after the one in line 9 (give each phase a name of its own)
    15:11: error[F104]: the scenario calls itself `another`, its file `example` (write `scenario: example`, or rename the file)
    1:11: error[F105]: the scenario has no probes (add one, such as `probes: [http: {name: web, node-port: 30080}]`)
    14:60: error[F106]: a second probe `web`, after the one in line 14 (give each probe a name of its own)
    14:39: error[F107]: 8080 is no node port (write the `nodePort` of the workload's Service, between 30000 and 32767)
    14:23: error[F108]: the probe `web` takes no samples: its `connection` is empty (name one, or remove `connection` for the default)
    14:55: error[F109]: a timeout of 0s is of no use (write one between 1ms and 10s; the default is 1s)
    15:8: error[F110]: the fleet `fleets/wbe` does not exist (name a folder under scenarios, such as `fleets/web`)
    15:23: error[F111]: there is no file `instnace.yaml` beside the scenario or in its fleet (check the name, or add the file)
    15:40: error[F112]: the fleet has no file `apps/wbe.yaml` (name a file of the fleet, by its path from the fleet's folder)
    1:11: warning[F113]: no invariant is judged: samples may fail and the run still passes (add `invariants: [no-lost-request]`)
    16:31: error[F114]: unknown rule `no-lost-requests` (did you mean `no-lost-request`? known: `no-lost-request`, `budget`, `steps` and `evidence`)
    16:31: error[F115]: the run is not judged by `no-lost-request` (add it: `invariants: [no-lost-request]`)
    9:18: error[F116]: nothing is sampled: there is no phase after the first (let the first phase bring the workloads up, and begin what shall be probed in a second one)
    15:9: error[F201]: which Flux Operator to install is not said (write `install-operator: {version: 0.59.0}`, or `operator: {version: 0.59.0}` for the whole scenario)
    15:27: error[F202]: the manifest has no `apiVersion` (an object needs `apiVersion`, `kind` and `metadata.name`, each a text)
    15:50: error[F203]: the patch changes nothing (name the fields to set, such as `merge: {spec: {suspend: true}}`)
    15:27: error[F204]: the commit has no message (say what it changes)
    15:9: error[F205]: the commit changes nothing (add `write`, `delete`, `replace`, `move` or `revert`)
    15:56: error[F206]: an empty text cannot be found (name the text to replace)
    15:34: error[F207]: the sleep has no reason (say what the time is for)
    15:30: error[F208]: the sampler is starved, but the run is expected to pass (add `expect: {verdict: inconclusive, rule: evidence}`)
    15:9: error[F270]: fewer than two steps run side by side (add another, or write the step itself)
    15:55: error[F271]: two of the steps push to the fleet at once (put one of them before or after)
    15:25: error[F272]: 0 is no number of times (write a number from 1 to 1000)
    15:35: error[F273]: any failure would do (write the part of the message that says why)
    15:29: error[F274]: the fragment `nothing` has no steps (give it steps, or remove the include)
    15:18: error[F240]: `deployment` is not a kind of Flux (Flux' kinds are `kustomization`, `helmrelease`, `gitrepository`, `ocirepository`, `helmrepository`, `helmchart`, `bucket`, `imagerepository`, `imagepolicy`, `imageupdateautomation`, `receiver`, `alert`, `provider`, `artifactgenerator`, `fluxinstance`, `fluxreport`, `resourceset` and `resourcesetinputprovider`)
    15:20: error[F241]: nobody answers a request to reconcile an object of kind `alert` (remove the step: its controller reads it whenever it is needed)
    15:29: error[F242]: an object of kind `gitrepository` has no source (remove `with-source`)
    15:29: error[F243]: `force` means nothing to an object of kind `kustomization` (remove `force`; only a HelmRelease knows it)
    15:18: error[F244]: an object of kind `kustomization` has no pods that come back (name a deployment, statefulset, daemonset or pod)
    15:25: error[F245]: no node is called `node-1` (write `control-plane`, `worker` or `worker2`)
    15:25: warning[F246]: the phase `example` allows no request to fail while node control-plane is down (give it a budget, such as `budget: {failed: 200, longest: 30s}`)
    15:9: error[F247]: there is no command (write `command: [PROGRAM, ARGUMENT, …]`)
    15:20: error[F248]: an object of kind `kustomization` has no pods (name a pod or a workload, `toolbox` or `host`)
    15:40: error[F249]: `toolbox` has no containers to choose from (remove `container`)
    15:39: error[F250]: no program has blanks in its name (write `command: [kubectl, get, nodes]`)
    15:23: error[F251]: each argument is an element of the list (write `args: [get, all, -A, …]`)
    15:23: error[F252]: bootstrapping has a step of its own (write `bootstrap: {path: clusters/test}`)
    15:23: error[F253]: `flux uninstall` would ask whether it may, and wait for an answer (add `--silent`)
    15:49: error[F254]: `serviceaccount/flux-system/fleet` is not a Secret in a namespace (write `secret/NAMESPACE/NAME`, such as `secret/flux-system/fleet`)
    15:31: error[F255]: the fleet has nothing at `app` to push (name a folder of the fleet, or leave `path` out for all of it)
    15:29: error[F256]: no repository in a registry can be called `Fleet` (use lower-case letters, digits and inner hyphens)
    15:41: error[F256]: no tag can be called `v1+build` (use at most 128 letters, digits, dots, hyphens and underscores, such as `latest` or `v1.0.0`)
    15:38: error[F257]: the commit reverts others and changes files as well (put the changes into a commit of their own)
    15:37: error[F259]: the fleet has nothing at `apps/wbe.yaml` to move (name a file or folder of the fleet, by its path from the fleet's folder)
    15:9: error[F261]: Flux has no helm-controller to install a chart by (add it to `flux.components`, or install by `via: helm`)
    15:30: error[F220]: there is no probe `wbe` (did you mean `web`? the scenario has `web`)
    9:50: error[F221]: no probe runs yet in the first phase (put the step into a later phase; the first one ends only when every probe was answered once)
    14:48: error[F222]: at 30/m the probe `web` may take no sample in 1s (wait for several samples, or sample more often)
    15:21: error[F223]: `all` of no conditions (name at least one condition)
    15:27: error[F224]: a line that was not logged yet is no news (wait for something that becomes so, then look at what must not have happened)
    15:26: error[F225]: kustomization/flux-system/apps has no pods of its own (name a workload with its namespace, such as `deployment/flux-system/source-controller`)
    15:57: error[F226]: every line fits this (write what tells the awaited line from others)
    15:73: error[F227]: this is not CEL: `=` has no meaning here (write CEL, such as `object.status.readyReplicas == object.spec.replicas` or `has(object.spec.suspend)`; compare by `==`, join by `&&` and `||`)
    15:52: error[F228]: the expression knows no `objct` (did you mean `object`? it knows `object`)
    15:26: error[F229]: the expression does not look at deployment/apps/web (mention it as `object`, or remove it)
    15:56: error[F230]: every object matches this (name the fields to compare; that an object exists is for `wait: {ready: …}` to say)
    15:25: error[F231]: any event would do (say its `reason`, or what its message `contains`)
    16:29: error[F232]: there is no snapshot `befor` (did you mean `before`? taken before: `before`)
    16:42: error[F233]: the snapshot `before` does not hold service/apps/web (add it there, or name one of deployment/apps/web)
    16:26: error[F234]: a second snapshot `before`, after the one in line 15 (give each snapshot a name of its own)
    15:38: error[F235]: the snapshot holds nothing (name objects, such as `[deployment/apps/web]`)
    ");
}
