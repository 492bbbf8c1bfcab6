//! Is there a Go that builds the components?

use crate::doctor::{Check, Context, Outcome};

/// See [`Check::why`].
#[derive(Debug)]
pub struct Go;

impl Check for Go {
    fn name(&self) -> &'static str {
        "go"
    }

    fn why(&self) -> &'static str {
        "Kubernetes, Flux and Flux Operator are built from Go modules where image registries cannot be reached"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        if !cx.builds() {
            return Outcome::skip("nothing is built from source");
        }
        let (major, minor) = cx.needs.go;
        let remedy =
            format!("install Go {major}.{minor} or newer from https://go.dev/dl/ and put its bin folder on PATH");
        if !cx.machine.has("go") {
            return Outcome::fail("no go on PATH").remedy(remedy);
        }
        match cx.machine.output("go", &["version"]) {
            Err(error) => Outcome::fail(format!("go does not run: {error}")).remedy(remedy),
            Ok(said) => match version(&said) {
                Some(found) if found >= cx.needs.go => Outcome::ok(format!("Go {}.{}", found.0, found.1)),
                Some(found) => Outcome::fail(format!("Go {}.{} is too old", found.0, found.1)).remedy(remedy),
                None => Outcome::warn(format!("cannot tell the version of go: {}", said.trim())).remedy(remedy),
            },
        }
    }
}

/// `go version go1.26.3 linux/amd64` → (1, 26).
fn version(said: &str) -> Option<(u32, u32)> {
    let number = said.split_whitespace().find_map(|word| word.strip_prefix("go").filter(|rest| !rest.is_empty()))?;
    let (major, rest) = number.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::release("go version go1.26.3 linux/amd64\n", Some((1, 26)))]
    #[case::candidate("go version go1.27rc1 darwin/arm64", Some((1, 27)))]
    #[case::distribution("go version go1.19.8 linux/amd64", Some((1, 19)))]
    #[case::development("go version devel +abc linux/amd64", None)]
    fn versions(#[case] said: &str, #[case] expected: Option<(u32, u32)>) {
        assert_eq!(version(said), expected);
    }
}
