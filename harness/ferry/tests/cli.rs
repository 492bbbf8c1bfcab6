//! The command line as people meet it: transcripts of whole commands, the README's examples among them.

#[test]
fn transcripts() {
    let scenarios = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
    trycmd::TestCases::new()
        .env("FERRY_SCENARIOS", scenarios)
        .case("../../README.md")
        .case("tests/cli/*.trycmd")
        .case("tests/cli/*.toml");
}
