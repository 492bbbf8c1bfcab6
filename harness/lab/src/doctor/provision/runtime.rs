//! The OCI runtime for an engine on a machine where no process can have some capability.
//!
//! `--privileged` asks for all capabilities that Docker knows, and runc refuses to start a container that cannot have one of
//! them. The runtime here is a small script around runc that takes those away, at create, run and exec alike.

use std::{io, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Map, Value, json};

/// The name of the runtime in the engine's configuration.
const NAME: &str = "ferry";

/// Newer than Docker 20.10, which therefore does not give them to privileged containers; Cilium, among others, asks for them.
const ADDED: [&str; 3] = ["CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"];

/// Why the engine could not be configured.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The user's configuration is not a JSON object.
    #[error("{path} is not a JSON object: {reason}")]
    Unreadable {
        /// The user's configuration.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The user's configuration names a runtime of its own.
    #[error("{path} sets the default runtime to {runtime}, which ferry would have to replace")]
    Taken {
        /// The user's configuration.
        path: String,
        /// What it names.
        runtime: String,
    },
}

/// Writes script and settings to `folder`.
pub fn write(folder: &Path, runc: &Path, lacking: &[&str]) -> Result<(), RuntimeError> {
    let script = folder.join("runtime.sh");
    fs_err::write(&script, include_str!("runtime.sh"))?;
    fs_err::set_permissions(&script, PermissionsExt::from_mode(0o755))?;
    fs_err::write(folder.join("runtime.conf"), settings(runc, lacking))?;
    Ok(())
}

fn settings(runc: &Path, lacking: &[&str]) -> String {
    let added: Vec<_> = ADDED.iter().filter(|name| !lacking.contains(name)).collect();
    format!("runc='{}'\nlacking='{}'\nadded='{}'\n", runc.display(), json!(lacking), json!(added))
}

/// The engine's configuration that makes the runtime in `folder` the default, over a copy of the user's own.
pub fn configuration(folder: &Path, users_path: &str, users: Option<&str>) -> Result<Value, RuntimeError> {
    let mut config: Map<String, Value> = match users {
        None => Map::new(),
        Some(text) => serde_json::from_str(text)
            .map_err(|error| RuntimeError::Unreadable { path: users_path.into(), reason: error.to_string() })?,
    };
    if let Some(runtime) = config.get("default-runtime").and_then(Value::as_str).filter(|runtime| *runtime != "runc") {
        return Err(RuntimeError::Taken { path: users_path.into(), runtime: runtime.into() });
    }
    config.insert("default-runtime".into(), json!(NAME));
    let runtimes = config.entry("runtimes").or_insert_with(|| json!({}));
    match runtimes.as_object_mut() {
        Some(runtimes) => runtimes.insert(NAME.into(), json!({ "path": folder.join("runtime.sh") })),
        None => {
            let reason = "\"runtimes\" is not an object".into();
            return Err(RuntimeError::Unreadable { path: users_path.into(), reason });
        }
    };
    Ok(Value::Object(config))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none(None, json!({"default-runtime": "ferry", "runtimes": {"ferry": {"path": "/s/runtime.sh"}}}))]
    #[case::kept(
        Some(r#"{"registry-mirrors": ["https://m"], "default-runtime": "runc", "runtimes": {"kata": {"path": "/k"}}}"#),
        json!({
            "registry-mirrors": ["https://m"],
            "default-runtime": "ferry",
            "runtimes": {"kata": {"path": "/k"}, "ferry": {"path": "/s/runtime.sh"}},
        })
    )]
    fn the_users_settings_are_kept(#[case] users: Option<&str>, #[case] expected: Value) {
        assert_eq!(configuration(Path::new("/s"), "/etc/docker/daemon.json", users).unwrap(), expected);
    }

    #[rstest]
    #[case::taken(
        r#"{"default-runtime": "nvidia"}"#,
        "/d sets the default runtime to nvidia, which ferry would have to replace"
    )]
    #[case::broken("{", "/d is not a JSON object: EOF while parsing an object at line 1 column 1")]
    #[case::odd(r#"{"runtimes": []}"#, "/d is not a JSON object: \"runtimes\" is not an object")]
    fn settings_that_cannot_be_kept_are_refused(#[case] users: &str, #[case] expected: &str) {
        assert_eq!(configuration(Path::new("/s"), "/d", Some(users)).unwrap_err().to_string(), expected);
    }

    #[test]
    fn what_the_machine_lacks_is_not_added() {
        insta::assert_snapshot!(settings(Path::new("/usr/sbin/runc"), &["CAP_SYS_RESOURCE", "CAP_BPF"]), @r#"
        runc='/usr/sbin/runc'
        lacking='["CAP_SYS_RESOURCE","CAP_BPF"]'
        added='["CAP_PERFMON","CAP_CHECKPOINT_RESTORE"]'
        "#);
    }

    const PRIVILEGED: [&str; 4] = ["CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"];

    #[rstest]
    #[case::create(&["--root", "/r", "create", "--bundle", "BUNDLE", "id"])]
    #[case::run_joined(&["run", "--bundle=BUNDLE", "id"])]
    #[case::exec(&["exec", "--process", "BUNDLE/process.json", "id"])]
    #[case::exec_short(&["exec", "-p", "BUNDLE/process.json", "id"])]
    #[ignore = "needs jq"]
    fn a_privileged_container_gets_what_the_machine_has(#[case] arguments: &[&str]) {
        let capabilities = after(&PRIVILEGED, arguments);
        let granted = json!([
            "CAP_BPF",
            "CAP_CHECKPOINT_RESTORE",
            "CAP_PERFMON",
            "CAP_SYS_ADMIN",
            "CAP_SYS_MODULE",
            "CAP_SYS_RAWIO"
        ]);
        assert_eq!(capabilities, json!({"bounding": granted, "ambient": []}));
    }

    #[rstest]
    #[case::ordinary(&["CAP_CHOWN", "CAP_NET_RAW"], &["create", "--bundle", "BUNDLE", "id"])]
    #[case::asks_for_the_lacking_one(&["CAP_SYS_RESOURCE", "CAP_SYS_ADMIN"], &["create", "--bundle", "BUNDLE", "id"])]
    #[case::other_command(&PRIVILEGED, &["state", "id"])]
    #[ignore = "needs jq"]
    fn everything_else_is_left_alone(#[case] given: &[&str], #[case] arguments: &[&str]) {
        assert_eq!(after(given, arguments), json!({"bounding": given, "ambient": []}));
    }

    /// Runs the script on a bundle whose process has these capabilities, and gives what they are afterwards in the file that
    /// the command is about. Checks that runc is run with the very same arguments.
    fn after(given: &[&str], arguments: &[&str]) -> Value {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().display().to_string();
        write(folder.path(), Path::new("/bin/echo"), &["CAP_SYS_RESOURCE"]).unwrap();
        let process = json!({"capabilities": {"bounding": given, "ambient": []}});
        let files = [("config.json", json!({"process": process})), ("process.json", process)];
        for (name, content) in &files {
            fs_err::write(folder.path().join(name), content.to_string()).unwrap();
        }
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.replace("BUNDLE", &bundle)).collect();
        let output = Command::new(folder.path().join("runtime.sh")).args(&arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), arguments.join(" "));
        let read = |name| -> Value {
            serde_json::from_str(&fs_err::read_to_string(folder.path().join(name)).unwrap()).unwrap()
        };
        match arguments.iter().any(|argument| argument.ends_with("process.json")) {
            true => read("process.json")["capabilities"].clone(),
            false => read("config.json")["process"]["capabilities"].clone(),
        }
    }
}
