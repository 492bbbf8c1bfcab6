//! `bootstrap`: the real `flux bootstrap git`, run in the toolbox.

use ferry_lab::toolbox;
use ferry_scenario::steps::{Bootstrap, Transport};

use super::{Context, StepError};
use crate::run::stage;

pub(super) async fn execute(bootstrap: &Bootstrap, cx: &Context<'_>) -> Result<(), StepError> {
    let version = bootstrap.version(cx.scenario);
    let components: Vec<_> = bootstrap.components(cx.scenario).iter().map(|c| c.value.as_str()).collect();
    let git = cx.stage.git();
    let mut command: Vec<String> = vec![
        format!("flux-{version}"),
        "bootstrap".into(),
        "git".into(),
        "--silent".into(),
        "--branch=main".into(),
        format!("--path={}", bootstrap.path),
        format!("--registry={}", stage::FLUX_REGISTRY),
        format!("--components={}", components.join(",")),
        format!("--timeout={}s", cx.within.as_secs()),
    ];
    let exec = match bootstrap.transport {
        Transport::Ssh => {
            command.push(format!("--url={}", git.ssh_url()));
            command.push(format!("--private-key-file={}", toolbox::SSH_KEY));
            cx.toolbox().exec(command)
        }
        Transport::Http => {
            let credentials = &git.credentials;
            command.push(format!("--url={}", git.http_url()));
            command.extend(["--allow-insecure-http".into(), "--token-auth".into()]);
            command.push(format!("--username={}", credentials.username));
            // By environment, so that the password is in no process list and no log.
            cx.toolbox().exec(command).env("GIT_PASSWORD", &credentials.password)
        }
    };
    exec.deadline(cx.within).lines(|_, line| cx.said(line)).succeed().await?;
    cx.fleet.pull().await?;
    Ok(())
}
