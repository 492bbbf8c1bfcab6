//! `flux`: the flux command, in the toolbox.

use ferry_scenario::steps::Flux;

use super::{Context, StepError, command, exec};

pub(super) async fn execute(flux: &Flux, cx: &Context<'_>) -> Result<(), StepError> {
    let mut words = vec![format!("flux-{}", flux.version(cx.scenario))];
    words.extend(flux.args.iter().map(|argument| argument.value.clone()));
    let output = exec::in_toolbox(words.clone(), None, cx).await?;
    Ok(command::judge(&command::shown(&words), "in the toolbox", &flux.expect, &output)?)
}
